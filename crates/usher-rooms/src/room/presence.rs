//! What the members of a room see of each other's coming and going.
//!
//! A room that is small enough tells changes one by one. A change in a larger one, or one that touches many at once, makes the room
//! *behind*: nothing is told until the next update, which says how many there are now and, if the room is small enough
//! again, who. From then on it is one by one again.

use std::sync::Arc;
use std::time::Duration;

use usher_auth::room::Presence;
use usher_auth::wire::{Frame, FrameId};

use super::{Locked, Room};
use crate::messages::ServerMessage;
use crate::rooms::Shared;
use crate::schedule::DueKey;
use crate::{Except, Member};

/// What a policy says about a room's presence, with the number of the policy: a newer one counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ruling {
    pub(crate) presence: Presence,
    pub(crate) generation: u64,
}

/// What happened to a member.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    Joined,
    Left,
}

/// How a room tells changes.
pub(super) struct Updates {
    ruling: Ruling,
    /// Since something was not told one by one, until an update told it and the room was small enough.
    behind: bool,
    /// When the last update went out, on the monotonic clock.
    last: Option<Duration>,
    /// The place in the schedule, while an update is owed.
    due: Option<DueKey>,
}

impl Default for Updates {
    fn default() -> Self {
        // Policies are numbered from 1, so that the first one to be asked decides.
        Self { ruling: Ruling { presence: Presence::Off, generation: 0 }, behind: false, last: None, due: None }
    }
}

impl Room {
    /// A policy says `ruling`.
    pub(crate) fn rule(self: &Arc<Self>, shared: &Shared, ruling: Ruling) {
        if let Some(mut room) = self.lock(shared) {
            room.rule(ruling);
        }
    }

    /// Sends the update that is owed, once it was taken out of the schedule.
    pub(crate) fn update(self: &Arc<Self>, shared: &Shared, now: Duration) {
        let Some(mut room) = self.lock(shared) else { return };
        room.state.updates.due = None;
        room.state.updates.last = Some(now);
        let complete = room.state.members.len() <= shared.limits.members_listed;
        room.state.updates.behind = !complete;
        let presence = room.state.updates.ruling.presence;
        if presence != Presence::Off {
            let frame = room.viewers(presence == Presence::Full && complete);
            room.fan_out(&frame, &Except::Nobody);
        }
    }
}

impl Locked<'_> {
    pub(super) fn rule(&mut self, ruling: Ruling) {
        let before = self.state.updates.ruling;
        if ruling.generation <= before.generation {
            return;
        }
        self.state.updates.ruling = ruling;
        if ruling.presence != before.presence && !self.state.listeners.is_empty() {
            // Who is in the room already was told more or less than what holds now.
            self.update_later();
        }
    }

    /// The answer to a join: what the room is now.
    pub(super) fn joined(&self, id: Option<&FrameId>) -> Frame {
        let presence = self.state.updates.ruling.presence;
        let members = match presence {
            Presence::Full => Some(self.state.members.list(self.shared.limits.members_listed)),
            Presence::Count | Presence::Off => None,
        };
        Frame::json(&ServerMessage::Joined {
            room: self.room.name.as_str(),
            viewers: (presence != Presence::Off).then(|| self.state.members.len()),
            members: members.as_deref(),
            id,
        })
    }

    /// Tells everybody but `except` that `member` came or went, now or with the next update.
    pub(super) fn announce(&mut self, change: Change, member: &Member, except: &Except) {
        let viewers = self.state.members.len();
        let (room, user) = (self.room.name.as_str(), member.into());
        let one_by_one = !self.state.updates.behind && viewers <= self.shared.limits.members_listed;
        let frame = match (self.state.updates.ruling.presence, change) {
            (Presence::Off, _) => return,
            (Presence::Count | Presence::Full, _) if !one_by_one => return self.update_later(),
            (Presence::Count, _) => self.viewers(false),
            (Presence::Full, Change::Joined) => Frame::json(&ServerMessage::UserJoined { room, user, viewers }),
            (Presence::Full, Change::Left) => Frame::json(&ServerMessage::UserLeft { room, user, viewers }),
        };
        self.fan_out(&frame, except);
    }

    /// What changed is told with the next update.
    pub(super) fn update_later(&mut self) {
        self.state.updates.behind = true;
        if self.state.updates.due.is_none() {
            // The first one is due at once. No clock is needed to say so, and therefore none to leave a room in a `Drop`.
            let at = self.state.updates.last.map_or(Duration::ZERO, |last| last + self.shared.limits.update_interval);
            self.state.updates.due = Some(self.shared.schedule.add(at, Arc::downgrade(self.room)));
        }
    }

    /// The room closes: nobody is left to be told.
    pub(super) fn forget_update(&mut self) {
        if let Some(key) = self.state.updates.due.take() {
            self.shared.schedule.remove(key);
        }
    }

    fn viewers(&self, with_members: bool) -> Frame {
        let members = with_members.then(|| self.state.members.list(usize::MAX));
        Frame::json(&ServerMessage::Viewers {
            room: self.room.name.as_str(),
            viewers: self.state.members.len(),
            members: members.as_deref(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use usher_auth::ids::ConnectionId;
    use usher_auth::room::{OnForbidden, Right, RoomName, RoomPattern, RoomPolicy, RoomRule};
    use usher_auth::test_util::visitor;
    use usher_auth::{Now, UnixTime};

    use super::*;
    use crate::{Receiver, RoomLimits, Rooms};

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Receiver for Count {
        fn deliver(&self, _frame: &Frame) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn an_older_policy_that_comes_late_changes_nothing() {
        // A join reads the policy, the policy is replaced, others are judged by the new one, and then the join gets the lock.
        let now = Now { monotonic: Duration::ZERO, unix: UnixTime::EPOCH };
        let rule = RoomRule {
            pattern: RoomPattern::parse("hall").unwrap(),
            join: vec![Right::Anonymous],
            publish: vec![],
            typing: vec![],
            presence: Presence::Full,
            on_forbidden: OnForbidden::Error,
        };
        let rooms = Rooms::new(RoomPolicy::new(vec![rule]), RoomLimits::default());
        let (name, connection) = (RoomName::canonical("hall").unwrap(), ConnectionId::from_random([1; 16]));
        let count = Arc::<Count>::default();
        let mut attendance = rooms.attach(&visitor(connection, now), connection, count.clone());
        attendance.join(&name, None).unwrap();
        let room = rooms.0.registry.get(&name).unwrap();
        let updates_after = |seconds, presence, generation| {
            let before = count.0.load(Ordering::Relaxed);
            room.rule(&rooms.0, Ruling { presence, generation });
            rooms.flush(now.after(Duration::from_secs(seconds)));
            count.0.load(Ordering::Relaxed) - before
        };
        assert_eq!(updates_after(0, Presence::Count, 3), 1);
        assert_eq!(updates_after(1, Presence::Full, 2), 0);
        assert_eq!(updates_after(2, Presence::Full, 4), 1);
    }
}
