//! What stands behind the door.

use std::sync::Arc;

use usher_auth::close_code::CloseCause;
use usher_auth::room::RoomName;
use usher_auth::wire::ClientMessage;
use usher_auth::{Now, Permit};

use crate::ConnectionHandle;

/// The application behind a route. Its methods are called from the connection's task and must not block.
pub trait Handler: Send + Sync + 'static {
    /// What the application keeps for one connection. It is dropped when the connection ends, whatever ended it.
    type Session: Send + 'static;

    /// Somebody is in. Frames for them go to `connection`.
    fn open(&self, permit: &Permit, connection: &Arc<ConnectionHandle>, now: Now) -> Self::Session;

    /// They sent a message.
    fn message(&self, session: &mut Self::Session, message: ClientMessage, now: Now) -> Flow;

    /// The rules of what stands behind the door may have changed: what they no longer give is left, and the client is told.
    fn recheck(&self, _session: &mut Self::Session, _now: Now) {}

    /// Their credential was renewed. Returns the rooms that the new one no longer gives, after leaving them.
    fn renew(&self, session: &mut Self::Session, permit: &Permit, now: Now) -> Vec<RoomName>;
}

/// Whether a connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// It does.
    Continue,
    /// It ends.
    End(CloseCause),
}
