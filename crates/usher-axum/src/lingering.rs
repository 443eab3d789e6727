//! The places of sessions that have ended and are remembered for a while, so that their clients hear why.

use std::sync::Arc;

use usher_auth::ids::UserId;

use crate::budget::{Place, SourcePlace};
use crate::sync::Mutex;

/// What a session holds that has ended and is remembered for a while. A user's has a place of its own kind, so that strangers never keep a
/// user from hearing why (req E3); others have theirs among those that wait.
#[derive(Debug)]
pub(crate) enum EndedPlace {
    Users(#[expect(dead_code, reason = "held")] Place<UserId>),
    Strangers(#[expect(dead_code, reason = "held")] SourcePlace),
}

/// Where a session that has ended keeps its place: it takes memory and a place in a drain.
#[derive(Clone, Debug, Default)]
pub(crate) struct LingeringPlace(Arc<Mutex<Option<EndedPlace>>>);

impl LingeringPlace {
    /// Hold `place` until the last handle is dropped.
    pub(crate) fn hold(&self, place: Option<EndedPlace>) {
        *self.0.lock() = place;
    }
}
