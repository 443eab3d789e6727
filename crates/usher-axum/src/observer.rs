//! What happens at the door, for whoever keeps the audit and the metrics.

use std::time::Duration;

use usher_auth::carriers::Carrier;
use usher_auth::close_code::CloseCause;
use usher_auth::ids::ConnectionId;
use usher_auth::protocol::ApplicationAnswer;
use usher_auth::revocation::RevocationCause;
use usher_auth::{Permit, Refusal};

use crate::ClientAddress;

/// Where something happened. Nothing in here or in [`Event`] is a credential.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// The connection; an upgrade that is refused has an id, too.
    pub connection: ConnectionId,
    /// Where the client is.
    pub client: ClientAddress,
    /// The request's `Origin`, as it was sent.
    pub origin: Option<&'a str>,
    /// The route's path as it is configured.
    pub route: &'a str,
}

/// What happened.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A credential was verified, or was not.
    Verified {
        /// How it was presented.
        carrier: Carrier,
        /// How long it took.
        took: Duration,
        /// Whether it holds.
        good: bool,
    },
    /// The upgrade was answered, with a 101 or a refusal, that long after its request was read.
    Answered {
        /// How long it took.
        took: Duration,
        /// Whether the answer is a 101.
        accepted: bool,
    },
    /// The socket waits for a first message. Followed by `Closed`, perhaps with `Opened` between.
    Waiting,
    /// An attempt was refused: the upgrade, a first message, or a renewal, after which the connection goes on.
    Refused {
        /// Why.
        refusal: &'a Refusal,
        /// How the credential was presented, where one was.
        carrier: Option<Carrier>,
    },
    /// Somebody was let in. Followed by `Closed`.
    Opened {
        /// Who, how and until when.
        permit: &'a Permit,
    },
    /// The permit was replaced: a credential was renewed, or the user's rights changed.
    Renewed {
        /// The new one.
        permit: &'a Permit,
        /// What the application has to say of it.
        answer: &'a ApplicationAnswer,
    },
    /// A socket is closed: once for each upgrade that was accepted, whatever ended it. Or somebody is in no more and the socket waits
    /// for somebody else: then `Waiting` follows, as if it were another.
    Closed {
        /// Who was verified last, if anybody was: also somebody who was one too many and never in.
        permit: Option<&'a Permit>,
        /// How they came in, if `Opened` came before.
        opened_by: Option<Entry>,
        /// What ended it.
        cause: CloseCause,
        /// The code we sent; `None` if the client went first.
        code: Option<u16>,
        /// Why the credential was revoked, if it was that.
        revoked: Option<RevocationCause>,
        /// From the order to end it to the close frame in the queue, where the order came from elsewhere (a revocation, a drain).
        notice: Option<Duration>,
        /// From the 101 to the end.
        lasted: Duration,
    },
}

/// How somebody came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// By a credential.
    Credential(Carrier),
    /// By presenting nothing.
    Anonymous,
}

impl From<&Permit> for Entry {
    fn from(permit: &Permit) -> Self {
        permit.carrier().map_or(Self::Anonymous, Self::Credential)
    }
}

/// Keeps the audit, the metrics, or nothing. Called from the connections' tasks: must not block.
pub trait Observer: Send + Sync + 'static {
    /// Something happened.
    fn observe(&self, scene: &Scene<'_>, event: &Event<'_>);
}

/// Looks away.
impl Observer for () {
    fn observe(&self, _: &Scene<'_>, _: &Event<'_>) {}
}
