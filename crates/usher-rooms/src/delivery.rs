//! How what happened on other nodes reaches this node's members.

use std::sync::Weak;

use usher_auth::room::RoomName;

use crate::rooms::Shared;
use crate::{Member, NodeId, RoomEvent};

/// The handle a [`crate::Bus`] delivers through. It does not keep the rooms alive, so that a bus may own it; once they are gone,
/// and for rooms nobody here is in, it does nothing.
#[derive(Clone)]
pub struct LocalDelivery(Weak<Shared>);

impl LocalDelivery {
    pub(crate) fn new(shared: Weak<Shared>) -> Self {
        Self(shared)
    }

    /// `event` happened in `room` on node `from`, which is not this one. Arriving or departing twice is the same as once.
    pub fn deliver(&self, from: NodeId, room: &RoomName, event: &RoomEvent) {
        if let Some(shared) = self.0.upgrade()
            && let Some(room) = shared.registry.get(room)
        {
            room.hear(&shared, from, event);
        }
    }

    /// Exactly `members` are in `room` on node `from`: what a node learns when it opens a room, and what sets right whatever was lost
    /// on the way. Told to the members of this node together, by the next update.
    pub fn present(&self, from: NodeId, room: &RoomName, members: &[Member]) {
        if let Some(shared) = self.0.upgrade()
            && let Some(room) = shared.registry.get(room)
        {
            room.set_present_on(&shared, from, members);
        }
    }

    /// Node `from` is gone, and everybody who was on it.
    pub fn node_lost(&self, from: NodeId) {
        if let Some(shared) = self.0.upgrade() {
            for room in shared.registry.all() {
                room.set_present_on(&shared, from, &[]);
            }
        }
    }
}

impl std::fmt::Debug for LocalDelivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LocalDelivery(…)")
    }
}
