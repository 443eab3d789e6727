//! The places of sessions that have ended and are remembered for a while, so that their clients hear why.

use std::sync::Arc;

use usher_auth::ids::UserId;

use crate::budget::{Place, SourcePlace};
use crate::sync::Mutex;

/// The place of a connection whose client is not authenticated now. A user's, which was, has a place of its own kind, so that strangers never keep a
/// user from hearing why it has ended (req E3); others have theirs among those that wait, or the anonymous ones.
#[derive(Debug)]
pub(crate) enum HeldPlace {
    User(#[expect(dead_code, reason = "held")] Place<UserId>),
    Stranger(#[expect(dead_code, reason = "held")] SourcePlace),
}

/// Where a session that has ended keeps its place: it takes memory and a place in a drain.
#[derive(Clone, Debug, Default)]
pub(crate) struct LingeringPlace(Arc<Mutex<Option<HeldPlace>>>);

impl LingeringPlace {
    /// Hold `place` until the last handle is dropped.
    pub(crate) fn hold(&self, place: Option<HeldPlace>) {
        *self.0.lock() = place;
    }
}
