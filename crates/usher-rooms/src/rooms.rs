//! The handle to all rooms of a node.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::RwLock;
use usher_auth::ids::ConnectionId;
use usher_auth::room::{RoomName, RoomPolicy};
use usher_auth::{Now, Permit};

use crate::registry::Registry;
use crate::schedule::Schedule;
use crate::{Attendance, Bus, InProcessBus, LocalDelivery, LocalMember, Receiver, RoomLimits};

/// All rooms of this node. A clone is a reference count.
#[derive(Clone)]
pub struct Rooms(pub(crate) Arc<Shared>);

/// What every room and every attendance needs.
pub(crate) struct Shared {
    pub(crate) limits: RoomLimits,
    pub(crate) bus: Arc<dyn Bus>,
    /// Read when a connection joins or is looked at again, written when the policy is replaced.
    policy: RwLock<NumberedPolicy>,
    /// The number of the policy above, to be compared without its lock before every message.
    generation: AtomicU64,
    pub(crate) registry: Registry,
    pub(crate) schedule: Schedule,
}

/// A policy and its number, counted from 1.
#[derive(Clone)]
pub(crate) struct NumberedPolicy {
    pub(crate) policy: RoomPolicy,
    pub(crate) generation: u64,
}

impl Rooms {
    /// No rooms yet, on the only node.
    pub fn new(policy: RoomPolicy, limits: RoomLimits) -> Self {
        Self::with_bus(policy, limits, |_| Arc::new(InProcessBus))
    }

    /// No rooms yet, on one of several nodes. `bus` makes the bus that tells the other nodes, and is given the handle by which that bus
    /// delivers what it hears from them.
    ///
    /// `bus` is called once, before this function returns. Until this function returns, the handle delivers nothing: there is no room yet.
    pub fn with_bus(policy: RoomPolicy, limits: RoomLimits, bus: impl FnOnce(LocalDelivery) -> Arc<dyn Bus>) -> Self {
        Self(Arc::new_cyclic(|shared| Shared {
            limits,
            bus: bus(LocalDelivery::new(shared.clone())),
            policy: RwLock::new(NumberedPolicy { policy, generation: 1 }),
            generation: AtomicU64::new(1),
            registry: Registry::new(),
            schedule: Schedule::default(),
        }))
    }

    /// The presence of an open connection: in no room yet. `receiver` gets the answers and whatever is told in its rooms. One
    /// connection has one attendance.
    #[must_use = "dropping an attendance leaves all its rooms"]
    pub fn attach(&self, permit: &Permit, connection: ConnectionId, receiver: Arc<dyn Receiver>) -> Attendance {
        Attendance::new(self.0.clone(), permit, connection, receiver)
    }

    /// Replaces the policy. From the return of this call on nobody joins, publishes or types by the old one. Whoever must stop
    /// listening is found by [`Attendance::recheck`], which the owner of every attendance calls next (req I3).
    pub fn set_policy(&self, policy: RoomPolicy) {
        let mut current = self.0.policy.write();
        current.generation += 1;
        current.policy = policy;
        self.0.generation.store(current.generation, Ordering::Release);
    }

    /// The policy in force.
    pub fn policy(&self) -> RoomPolicy {
        self.0.policy().policy
    }

    /// Sends the updates that are due at `now` and says when the next one is, on the monotonic clock. No room sends more than
    /// one each [`RoomLimits::update_interval`].
    pub fn flush(&self, now: Now) -> Option<Duration> {
        for room in self.0.schedule.take_due(now.monotonic) {
            if let Some(room) = room.upgrade() {
                room.update(&self.0, now.monotonic);
            }
        }
        self.0.schedule.earliest()
    }

    /// When the next update is due, on the monotonic clock; it may be past. Pending while none is owed. In either case the task is
    /// woken when an earlier one comes up. One task waits at a time: the last to ask is woken.
    ///
    /// Its owner waits for this, then until that moment, then calls [`Rooms::flush`], over and over. Updates are rare enough that
    /// waiting without looking at an earlier one that comes up meanwhile is well: it is late by the interval at most.
    pub fn poll_deadline(&self, context: &mut Context<'_>) -> Poll<Duration> {
        self.0.schedule.poll_earliest(context)
    }

    /// How many rooms have somebody of this node in them.
    pub fn room_count(&self) -> usize {
        self.0.registry.len()
    }

    /// The users who have a connection of this node in `room`, without those of other nodes. Empty if no connection of this node is in it.
    pub fn local_members(&self, room: &RoomName) -> Vec<LocalMember> {
        self.0.registry.get(room).and_then(|room| room.read_members(<[_]>::to_vec)).unwrap_or_default()
    }

    /// How many users are in `room`, as this node knows; 0 if nobody of this node is.
    pub fn viewers(&self, room: &RoomName) -> usize {
        self.0.registry.get(room).map_or(0, |room| room.viewers())
    }
}

impl Shared {
    pub(crate) fn policy(&self) -> NumberedPolicy {
        self.policy.read().clone()
    }

    /// The number of the policy in force.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }
}

impl fmt::Debug for Rooms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rooms").field("rooms", &self.room_count()).field("limits", &self.0.limits).finish()
    }
}
