//! All rooms of this node, by name.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use parking_lot::Mutex;
use usher_auth::room::RoomName;

use crate::room::Room;

/// How many locks the names are spread over. Only opening, finding and closing a room takes one, never a message.
const SHARDS: usize = 64;

/// A room is in here while it has a listener, and from its creation until the first one is in.
pub(crate) struct Registry {
    shards: Box<[Shard]>,
    /// Keyed, since clients choose the names.
    hasher: RandomState,
}

type Shard = Mutex<HashMap<RoomName, Arc<Room>>>;

impl Registry {
    pub(crate) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Shard::default()).collect(), hasher: RandomState::new() }
    }

    pub(crate) fn get(&self, name: &RoomName) -> Option<Arc<Room>> {
        self.shard(name).lock().get(name).cloned()
    }

    pub(crate) fn get_or_open(&self, name: &RoomName) -> Arc<Room> {
        let mut shard = self.shard(name).lock();
        if let Some(room) = shard.get(name) {
            return room.clone();
        }
        let room = Arc::new(Room::new(name.clone()));
        shard.insert(name.clone(), room.clone());
        room
    }

    /// Called by the room itself, under its lock, as it closes. A shard's lock is always taken after a room's: whoever holds
    /// a shard's takes none.
    pub(crate) fn remove(&self, name: &RoomName) {
        let mut shard = self.shard(name).lock();
        shard.remove(name);
        let (length, capacity) = (shard.len(), shard.capacity());
        if capacity > 64 && length < capacity / 8 {
            shard.shrink_to(2 * length);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Room>> {
        self.shards.iter().flat_map(|shard| shard.lock().values().cloned().collect::<Vec<_>>()).collect()
    }

    fn shard(&self, name: &RoomName) -> &Shard {
        let hash = self.hasher.hash_one(name);
        &self.shards[usize::try_from(hash % SHARDS as u64).expect("less than the number of shards")]
    }
}
