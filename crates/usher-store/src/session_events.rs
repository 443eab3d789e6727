//! What happens to sessions, users and keys, as the nodes of one installation tell each other.

use std::time::Duration;

use async_trait::async_trait;
use usher_auth::UnixTime;
use usher_auth::connection::RenewedToken;
use usher_auth::ids::{SessionId, UserId};
use usher_auth::revocation::{BlockedUser, Revocation};
use usher_auth::session::Session;
use usher_auth::user::User;

use crate::StoreError;

/// Most events that wait for a node to receive them. Beyond it the node is told [`ReceivedEvent::Missed`].
pub const MAX_QUEUED_EVENTS: usize = 1024;

/// A change that is durable already, so that whoever reads the store after the event finds it.
///
/// An event is plain data without a secret. Applying one twice is the same as once, and of two about the same thing a later one includes an
/// earlier one. A node believes an event as it believes the store: whoever can publish one can give a user roles.
///
/// The rules of routes and rooms are not among these: they are the configuration of each node.
#[derive(Clone, Debug)]
pub enum SessionEvent {
    /// Credentials were revoked by one operation.
    Revoked {
        /// What the store remembers of it. The first is what was asked for, the others are what that removed.
        revocations: Vec<Revocation>,
        /// For how long the connections may bring another credential; `None` ends them at once.
        margin: Option<Duration>,
    },
    /// A session was proved anew over HTTP: its connections go on for longer.
    Renewed {
        /// The session as it is after this use. Where the log-in came from may be left out.
        session: Session,
        /// Its user as read with it.
        user: User,
        /// The new access token, without the token itself.
        token: RenewedToken,
    },
    /// Sessions were used.
    Used(Vec<SessionUse>),
    /// A user of ours was changed: other roles, another name, another password, enabled again. What ended with the change has its own event.
    UserChanged {
        /// The user as they are now.
        user: User,
        /// Whatever was read up to this moment may be from before the change.
        read_at: UnixTime,
    },
    /// Every credential of a user is refused from now on.
    UserBlocked(BlockedUser),
    /// The credentials of a user are accepted again.
    UserUnblocked(UserId),
    /// A user of ours was added. An earlier user of that id has nothing to do with this one.
    UserAdded(UserId),
    /// A user of ours was removed.
    UserRemoved(UserId),
}

/// One use of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionUse {
    /// The session.
    pub session: SessionId,
    /// When it was used.
    pub last_seen_at: UnixTime,
    /// When it ends now, if it is not used again.
    pub expires_at: UnixTime,
}

/// Carries events between the nodes that share a store. Each node has one of these.
#[async_trait]
pub trait SessionEvents: Send + Sync {
    /// Tell every other node; this one has applied the event already. An error means that others may not hear of it: what they remember is
    /// then right only after their next [`ReceivedEvent::Missed`].
    async fn publish(&self, event: &SessionEvent) -> Result<(), StoreError>;
    /// The events that other nodes publish from now on, those of one node in the order in which it published them. To be called before the
    /// store is read, so that nothing falls between.
    async fn subscribe(&self) -> Result<Box<dyn SessionEventReceiver>, StoreError>;
}

/// The receiving end of one subscription.
#[async_trait]
pub trait SessionEventReceiver: Send {
    /// The next one, as soon as there is one. Giving up the wait loses nothing.
    async fn next(&mut self) -> ReceivedEvent;
}

/// What a node receives.
#[derive(Clone, Debug)]
pub enum ReceivedEvent {
    /// An event of another node.
    Event(Box<SessionEvent>),
    /// Events were lost: more than [`MAX_QUEUED_EVENTS`] waited, or the network was down. What is remembered must be read again.
    Missed,
}
