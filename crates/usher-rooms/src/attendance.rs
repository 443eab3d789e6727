//! One connection's presence in its rooms.

use std::fmt;
use std::sync::Arc;

use serde_json::value::RawValue;
use usher_auth::Permit;
use usher_auth::ids::ConnectionId;
use usher_auth::room::{RoomAction, RoomName, RoomPermit};
use usher_auth::wire::{Frame, FrameId};

use crate::messages::{RoomMessage, ServerMessage};
use crate::room::{Entrant, Room, Ruling};
use crate::rooms::{NumberedPolicy, Shared};
use crate::{Except, Member, Receiver, RoomError};

/// Why rooms are lost when the policy was replaced, as the `rooms_lost` frame says it.
const POLICY_CHANGED: &str = "policy changed";
/// The same when the user's rights were changed.
const RIGHTS_WITHDRAWN: &str = "rights withdrawn";

/// A connection's presence in its rooms. Dropping it leaves all of them.
///
/// Each method that does what a client asked for answers the client through its receiver; an error has not been answered yet,
/// except by [`Attendance::handle`].
pub struct Attendance {
    shared: Arc<Shared>,
    permit: Permit,
    /// The permit's holder.
    member: Member,
    connection: ConnectionId,
    receiver: Arc<dyn Receiver>,
    /// Sorted by name.
    joined: Vec<Joined>,
    /// The number of the policy that all of `joined` was judged by, or an older one than some were.
    generation: u64,
}

struct Joined {
    room: Arc<Room>,
    permit: RoomPermit,
}

impl Attendance {
    pub(crate) fn new(
        shared: Arc<Shared>,
        permit: &Permit,
        connection: ConnectionId,
        receiver: Arc<dyn Receiver>,
    ) -> Self {
        let generation = shared.generation();
        let member = permit.principal().into();
        Self { shared, permit: permit.clone(), member, connection, receiver, joined: Vec::new(), generation }
    }

    /// Does what `message` asks for and answers it, also if it is refused. The error is for the log, and for
    /// [`RoomError::close_cause`], which says whether the connection must end.
    pub fn handle(&mut self, message: &RoomMessage<'_>) -> Result<(), RoomError> {
        let (result, id) = match message {
            RoomMessage::Join { room, id } => (self.join(room, id.as_ref()), id),
            RoomMessage::Leave { room, id } => (self.leave(room, id.as_ref()), id),
            RoomMessage::Typing { room, id } => (self.typing(room), id),
            RoomMessage::Publish { room, data, id } => (self.publish(room, data, id.as_ref()), id),
        };
        if let Err(error) = &result {
            self.receiver.deliver(&error.frame(id.as_ref()));
        }
        result
    }

    /// Enters `room`. Answered by `joined`, which comes before anything else of the room; again if one is in it already.
    pub fn join(&mut self, room: &RoomName, id: Option<&FrameId>) -> Result<(), RoomError> {
        self.catch_up();
        let NumberedPolicy { policy, generation } = self.shared.policy();
        let permit = policy.permit_join(&self.permit, room).map_err(|denied| RoomError::Forbidden {
            room: room.clone(),
            action: RoomAction::Join,
            on_forbidden: denied.on_forbidden,
        })?;
        let position = self.position(room);
        let limit = self.shared.limits.rooms_per_connection;
        if position.is_err() && self.joined.len() >= limit {
            return Err(RoomError::TooManyRooms { room: room.clone(), limit });
        }
        let ruling = Ruling { presence: permit.presence(), generation };
        let entrant = Entrant { connection: self.connection, member: &self.member, receiver: &self.receiver };
        let entered = loop {
            let found = self.shared.registry.get_or_open(room);
            // If its last listener left between finding and locking it, it is out of the registry and the next one is another.
            if let Ok(()) = found.enter(&self.shared, &entrant, ruling, id) {
                break found;
            }
        };
        let joined = Joined { room: entered, permit };
        match position {
            Ok(at) => self.joined[at] = joined,
            Err(at) => self.joined.insert(at, joined),
        }
        Ok(())
    }

    /// Leaves `room`. Answered by `left`, after which nothing of the room comes.
    pub fn leave(&mut self, room: &RoomName, id: Option<&FrameId>) -> Result<(), RoomError> {
        let at = self.position(room).map_err(|_| RoomError::NotJoined { room: room.clone() })?;
        let joined = self.joined.remove(at);
        let reply = Frame::json(&ServerMessage::Left { room: room.as_str(), id });
        joined.room.leave(&self.shared, self.connection, &self.member.id, Some(&reply));
        Ok(())
    }

    /// Tells the other users in `room` that this one is typing. Not answered.
    pub fn typing(&mut self, room: &RoomName) -> Result<(), RoomError> {
        let at = self.permitted(room, RoomAction::Typing)?;
        let frame = Frame::json(&ServerMessage::UserTyping { room: room.as_str(), user: (&self.member).into() });
        self.joined[at].room.say(&self.shared, &frame, Except::User(self.member.id.clone()));
        Ok(())
    }

    /// Sends `data` to the other connections in `room`. Answered by `published` if there is an `id`.
    pub fn publish(&mut self, room: &RoomName, data: &RawValue, id: Option<&FrameId>) -> Result<(), RoomError> {
        let at = self.permitted(room, RoomAction::Publish)?;
        let frame = Frame::json(&ServerMessage::Message { room: room.as_str(), user: (&self.member).into(), data });
        self.joined[at].room.say(&self.shared, &frame, Except::Connection(self.connection));
        if let Some(id) = id {
            self.receiver.deliver(&Frame::json(&ServerMessage::Published { id }));
        }
        Ok(())
    }

    /// The connection's permit.
    pub fn permit(&self) -> &Permit {
        &self.permit
    }

    /// The connection's permit was replaced. Leaves the rooms that it gives no right to and returns them; nothing of them comes
    /// after this returns (req H7, I3). The client is told by whoever answers the renewal.
    #[must_use = "the client must be told which rooms it lost"]
    pub fn renew(&mut self, permit: &Permit) -> Vec<RoomName> {
        self.permit = permit.clone();
        let after = Member::from(permit.principal());
        let lost = self.judge();
        let before = std::mem::replace(&mut self.member, after);
        if before != self.member {
            for joined in &self.joined {
                joined.room.change_member(&self.shared, self.connection, &before, &self.member);
            }
        }
        lost
    }

    /// The user's rights or name were changed: as [`Attendance::renew`], and the client is told of the rooms it lost by `rooms_lost`.
    pub fn rights_changed(&mut self, permit: &Permit) -> Vec<RoomName> {
        let lost = self.renew(permit);
        self.tell_lost(&lost, RIGHTS_WITHDRAWN);
        lost
    }

    /// Looks at the rooms again after the policy was replaced. Leaves those whose right is gone, tells the client by
    /// `rooms_lost`, and returns them; nothing of them comes after this returns (req I3).
    pub fn recheck(&mut self) -> Vec<RoomName> {
        let lost = self.judge();
        self.tell_lost(&lost, POLICY_CHANGED);
        lost
    }

    fn tell_lost(&self, lost: &[RoomName], reason: &str) {
        if !lost.is_empty() {
            let rooms: Vec<&str> = lost.iter().map(RoomName::as_str).collect();
            self.receiver.deliver(&Frame::json(&ServerMessage::RoomsLost { rooms: &rooms, reason }));
        }
    }

    /// The rooms it is in, sorted.
    pub fn rooms(&self) -> impl ExactSizeIterator<Item = &RoomName> {
        self.joined.iter().map(|joined| joined.room.name())
    }

    /// Nothing is done by a policy that was replaced, even if nobody has called [`Attendance::recheck`] yet.
    fn catch_up(&mut self) {
        if self.generation != self.shared.generation() {
            self.recheck();
        }
    }

    /// Leaves the rooms that the policy in force does not give the permit's holder, and takes note of what it gives in the others.
    fn judge(&mut self) -> Vec<RoomName> {
        let NumberedPolicy { policy, generation } = self.shared.policy();
        let mut lost = Vec::new();
        self.joined.retain_mut(|joined| {
            let Ok(permit) = policy.permit_join(&self.permit, joined.room.name()) else {
                joined.room.leave(&self.shared, self.connection, &self.member.id, None);
                lost.push(joined.room.name().clone());
                return false;
            };
            joined.room.rule(&self.shared, Ruling { presence: permit.presence(), generation });
            joined.permit = permit;
            true
        });
        self.generation = generation;
        lost
    }

    /// The position of the joined `room`, if `action` is allowed there now.
    fn permitted(&mut self, room: &RoomName, action: RoomAction) -> Result<usize, RoomError> {
        self.catch_up();
        let at = self.position(room).map_err(|_| RoomError::NotJoined { room: room.clone() })?;
        let joined = &self.joined[at];
        let allowed = match action {
            RoomAction::Join => true,
            RoomAction::Publish => joined.permit.may_publish(),
            RoomAction::Typing => joined.permit.may_type(),
        };
        if allowed {
            Ok(at)
        } else {
            Err(RoomError::Forbidden { room: room.clone(), action, on_forbidden: joined.permit.on_forbidden() })
        }
    }

    fn position(&self, room: &RoomName) -> Result<usize, usize> {
        self.joined.binary_search_by(|joined| joined.room.name().cmp(room))
    }
}

impl Drop for Attendance {
    fn drop(&mut self) {
        for joined in self.joined.drain(..) {
            joined.room.leave(&self.shared, self.connection, &self.member.id, None);
        }
    }
}

impl fmt::Debug for Attendance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attendance")
            .field("connection", &self.connection)
            .field("user", &self.member.id)
            .field("rooms", &self.rooms().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
