//! How what happened on other nodes reaches this node's members.

use std::sync::Weak;

use usher_auth::room::RoomName;

use crate::rooms::Shared;
use crate::{LocalMember, Member, NodeId, RoomEvent};

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

    /// Calls `read` with the users who have a connection of this node in `room`, and returns its answer. `None`, without a call, if no
    /// connection of this node is in the room: each user was reported as [`RoomEvent::Departed`] then. For a bus that must tell
    /// another node, which calls [`LocalDelivery::present`] there.
    ///
    /// The room's lock is held during the call, as it is in the methods of [`crate::Bus`] and with the same rules: `read` must not block,
    /// must not panic, and must not call back into this crate. So the list has its place in the order of the room's events: what
    /// `read` puts into the queue of the bus stands behind every event that the list includes, and before every later one.
    pub fn read_members<T>(&self, room: &RoomName, read: impl FnOnce(&[LocalMember]) -> T) -> Option<T> {
        self.0.upgrade()?.registry.get(room)?.read_members(read)
    }

    /// The rooms that a connection of this node is in, in no order: for a bus that lost its connection and subscribes again. Rooms that
    /// open or close meanwhile may be in the list or not; [`crate::Bus::opened`] and [`crate::Bus::closed`] report them.
    pub fn open_rooms(&self) -> Vec<RoomName> {
        let Some(shared) = self.0.upgrade() else { return Vec::new() };
        shared.registry.all().iter().filter(|room| room.is_open()).map(|room| room.name().clone()).collect()
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
