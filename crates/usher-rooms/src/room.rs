//! One room: its listeners, its members, and the one order in which they are told.

mod presence;

use std::sync::Arc;

use indexmap::IndexMap;
use parking_lot::{Mutex, MutexGuard};
use usher_auth::ids::{ConnectionId, UserId};
use usher_auth::room::RoomName;
use usher_auth::wire::{Frame, FrameId};

use crate::members::{MemberNumber, Members, shrink};
use crate::rooms::Shared;
use crate::{Except, LocalMember, Member, NodeId, Receiver, RoomEvent};

pub(crate) use presence::Ruling;
use presence::{Change, Updates};

/// A room. Who holds one that has closed finds that out when locking it.
pub(crate) struct Room {
    name: RoomName,
    state: Mutex<State>,
}

/// A connection on its way into a room.
pub(crate) struct Entrant<'a> {
    pub(crate) connection: ConnectionId,
    pub(crate) member: &'a Member,
    pub(crate) receiver: &'a Arc<dyn Receiver>,
}

/// The last listener left before the lock was had; the name may belong to another room by now.
pub(crate) struct Closed;

#[derive(Default)]
struct State {
    /// Set once, when the last listener leaves, and under the lock that took the room out of the registry.
    closed: bool,
    /// The connections, side by side in memory for fan-out.
    listeners: IndexMap<ConnectionId, Listener>,
    members: Members,
    updates: Updates,
}

struct Listener {
    receiver: Arc<dyn Receiver>,
    member: MemberNumber,
}

/// A room whose lock is held.
struct Locked<'a> {
    room: &'a Arc<Room>,
    shared: &'a Shared,
    state: MutexGuard<'a, State>,
}

impl Room {
    pub(crate) fn new(name: RoomName) -> Self {
        Self { name, state: Mutex::default() }
    }

    pub(crate) fn name(&self) -> &RoomName {
        &self.name
    }

    /// How many users are in it.
    pub(crate) fn viewers(&self) -> usize {
        self.state.lock().members.len()
    }

    /// Calls `read` with this node's members while the lock is held; `None` if no connection of this node is in the room.
    pub(crate) fn read_members<T>(&self, read: impl FnOnce(&[LocalMember]) -> T) -> Option<T> {
        let state = self.state.lock();
        (!state.listeners.is_empty()).then(|| read(&state.members.local()))
    }

    /// Whether a connection of this node is in it.
    pub(crate) fn is_open(&self) -> bool {
        !self.state.lock().listeners.is_empty()
    }

    /// Lets `entrant` in and answers `joined`, also if they are in already; tells the others if the user is new.
    pub(crate) fn enter(
        self: &Arc<Self>,
        shared: &Shared,
        entrant: &Entrant<'_>,
        ruling: Ruling,
        id: Option<&FrameId>,
    ) -> Result<(), Closed> {
        let mut room = self.lock(shared).ok_or(Closed)?;
        room.rule(ruling);
        if room.state.listeners.contains_key(&entrant.connection) {
            entrant.receiver.deliver(&room.joined(id));
            return Ok(());
        }
        if room.state.listeners.is_empty() {
            shared.bus.opened(&self.name);
        }
        let arrival = room.state.members.arrive(entrant.member);
        let listener = Listener { receiver: entrant.receiver.clone(), member: arrival.number };
        room.state.listeners.insert(entrant.connection, listener);
        if arrival.first_here {
            shared.bus.publish(&self.name, &RoomEvent::Arrived(entrant.member.clone()));
        }
        entrant.receiver.deliver(&room.joined(id));
        if arrival.first_anywhere {
            room.announce(Change::Joined, entrant.member, &Except::Connection(entrant.connection));
        }
        Ok(())
    }

    /// Lets a connection of the user `id` out, hands it `reply` as the last frame of this room, and tells the others if the user
    /// is gone. The last one out closes the room.
    pub(crate) fn leave(
        self: &Arc<Self>,
        shared: &Shared,
        connection: ConnectionId,
        id: &UserId,
        reply: Option<&Frame>,
    ) {
        let Some(mut room) = self.lock(shared) else { return };
        let Some(listener) = room.state.listeners.swap_remove(&connection) else { return };
        shrink(&mut room.state.listeners);
        if let Some(reply) = reply {
            listener.receiver.deliver(reply);
        }
        let departure = room.state.members.depart(id);
        if departure.last_here {
            shared.bus.publish(&self.name, &RoomEvent::Departed(id.clone()));
        }
        if room.state.listeners.is_empty() {
            room.close();
        } else if let Some(gone) = departure.gone {
            room.announce(Change::Left, &gone, &Except::Nobody);
        }
        // The lock first: what a receiver does when it is dropped is not ours to know.
        drop(room);
        drop(listener);
    }

    /// Gives `frame` to everybody but `except`, here and on other nodes.
    pub(crate) fn say(self: &Arc<Self>, shared: &Shared, frame: &Frame, except: Except) {
        let Some(room) = self.lock(shared) else { return };
        room.fan_out(frame, &except);
        shared.bus.publish(&self.name, &RoomEvent::Said { frame: frame.clone(), except });
    }

    /// The connection's user is `after` and was `before`: another one for the members (an anonymous visitor who logged in), or the
    /// same by another name.
    pub(crate) fn change_member(
        self: &Arc<Self>,
        shared: &Shared,
        connection: ConnectionId,
        before: &Member,
        after: &Member,
    ) {
        let Some(mut room) = self.lock(shared) else { return };
        if before.id == after.id {
            room.state.members.rename(after);
            return;
        }
        if !room.state.listeners.contains_key(&connection) {
            return;
        }
        let departure = room.state.members.depart(&before.id);
        if departure.last_here {
            shared.bus.publish(&self.name, &RoomEvent::Departed(before.id.clone()));
        }
        if let Some(gone) = departure.gone {
            room.announce(Change::Left, &gone, &Except::Nobody);
        }
        let arrival = room.state.members.arrive(after);
        if let Some(listener) = room.state.listeners.get_mut(&connection) {
            listener.member = arrival.number;
        }
        if arrival.first_here {
            shared.bus.publish(&self.name, &RoomEvent::Arrived(after.clone()));
        }
        if arrival.first_anywhere {
            room.announce(Change::Joined, after, &Except::Nobody);
        }
    }

    /// `event` happened here on node `from`.
    pub(crate) fn hear(self: &Arc<Self>, shared: &Shared, from: NodeId, event: &RoomEvent) {
        let Some(mut room) = self.lock(shared) else { return };
        match event {
            RoomEvent::Said { frame, except } => room.fan_out(frame, except),
            RoomEvent::Arrived(member) => {
                if room.state.members.arrive_on(from, member) {
                    room.announce(Change::Joined, member, &Except::Nobody);
                }
            }
            RoomEvent::Departed(id) => {
                if let Some(gone) = room.state.members.depart_from(from, id) {
                    room.announce(Change::Left, &gone, &Except::Nobody);
                }
            }
        }
    }

    /// Exactly `members` are here on node `from`.
    pub(crate) fn set_present_on(self: &Arc<Self>, shared: &Shared, from: NodeId, members: &[Member]) {
        let Some(mut room) = self.lock(shared) else { return };
        if room.state.members.set_present_on(from, members) {
            room.update_later();
        }
    }

    fn lock<'a>(self: &'a Arc<Self>, shared: &'a Shared) -> Option<Locked<'a>> {
        let state = self.state.lock();
        if state.closed { None } else { Some(Locked { room: self, shared, state }) }
    }
}

impl Locked<'_> {
    fn fan_out(&self, frame: &Frame, except: &Except) {
        let listeners = &self.state.listeners;
        match except {
            Except::Nobody => listeners.values().for_each(|listener| listener.receiver.deliver(frame)),
            Except::Connection(connection) => {
                for (_, listener) in listeners.iter().filter(|(id, _)| *id != connection) {
                    listener.receiver.deliver(frame);
                }
            }
            Except::User(id) => {
                let number = self.state.members.number(id);
                for listener in listeners.values().filter(|listener| Some(listener.member) != number) {
                    listener.receiver.deliver(frame);
                }
            }
        }
    }

    fn close(&mut self) {
        self.state.closed = true;
        self.forget_update();
        self.shared.bus.closed(&self.room.name);
        self.shared.registry.remove(&self.room.name);
    }
}
