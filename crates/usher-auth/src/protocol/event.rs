//! The events of a connection's life that its client is told of.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::close_code::Reconnect;
use crate::ids::ConnectionId;
use crate::mistake::Mistake;
use crate::permit::Permit;
use crate::revocation::RevocationCause;
use crate::time::UnixTime;
use crate::wire::FrameId;

/// Something the client is told.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The socket is open. Comes before everything else, once.
    Accepted,
    /// The connection is authenticated, or its credential was renewed.
    Authenticated {
        /// The connection.
        connection: ConnectionId,
        /// By which it is authenticated.
        permit: &'a Permit,
        /// What the application adds.
        answer: &'a ApplicationAnswer,
        /// Of the message that brought the credential.
        id: Option<&'a FrameId>,
        /// Now.
        now: UnixTime,
    },
    /// The credential ends soon, and another one should come.
    RenewalWanted {
        /// When it ends.
        expires_at: UnixTime,
        /// When another must have come.
        deadline: UnixTime,
    },
    /// A message or the credential in it was refused.
    Refused {
        /// For people to read.
        error: &'a str,
        /// Stable.
        code: &'a str,
        /// What to do about it.
        hint: Option<&'a str>,
        /// Of the message, if it could be read.
        id: Option<&'a FrameId>,
    },
    /// The refused credential was one of several that may be tried.
    AttemptFailed,
    /// The credential has ended: expired, or revoked for that cause. Only where [`super::Protocol::waits_again`] or the connection closes next.
    Deauthenticated {
        /// Why it was revoked; `None`: it has expired.
        revoked: Option<RevocationCause>,
    },
    /// A mistake of the client's was understood all the same.
    Notice(Mistake),
    /// Answer to a ping.
    Pong {
        /// Of the ping.
        id: Option<&'a FrameId>,
    },
    /// The connection is about to be closed.
    Closing {
        /// The close code that follows.
        code: u16,
        /// The close reason that follows.
        reason: &'a str,
        /// Whether the client should come back.
        reconnect: Reconnect,
        /// Not before that.
        retry_after: Option<Duration>,
    },
}

/// What an application adds to the answer to a renewed credential: members of a JSON object, which mean nothing to the connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApplicationAnswer(pub Map<String, Value>);

impl ApplicationAnswer {
    /// One member.
    pub fn member(name: &str, value: impl Into<Value>) -> Self {
        Self(Map::from_iter([(name.to_owned(), value.into())]))
    }
}
