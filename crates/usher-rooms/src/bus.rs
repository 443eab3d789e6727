//! What nodes tell each other about rooms.
//!
//! On one node nothing needs telling, and [`InProcessBus`] does nothing. With several, every node has its own [`crate::Rooms`], a
//! bus that carries each [`RoomEvent`] to the nodes that have the room open, and a [`crate::LocalDelivery`] that the bus hands
//! arriving events to. What was said travels as an encoded frame; presence travels as who is where, and each node
//! counts and announces for itself, so that a user with a tab on each of two nodes is one viewer on both.
//!
//! A bus keeps no list of this node's members: [`crate::LocalDelivery::read_members`] gives it when another node asks. Events and
//! lists of members are written and read by [`crate::record`].

use usher_auth::ids::{ConnectionId, UserId};
use usher_auth::room::RoomName;
use usher_auth::wire::Frame;

use crate::Member;

/// Carries a node's room events to the other nodes.
///
/// All methods are called with the room's lock held, so that events leave in the room's order: they must not block (queue, and say
/// what happens when the queue is full), must not panic, and must not call back into [`crate::Rooms`] or [`crate::LocalDelivery`]
/// from within the call.
pub trait Bus: Send + Sync {
    /// `room` got its first connection on this node: events of other nodes are wanted from here on, and who is in it there, which
    /// arrives through [`crate::LocalDelivery::present`].
    fn opened(&self, room: &RoomName);

    /// `room` lost its last connection on this node: nothing more is wanted. Every user of this node was reported as
    /// [`RoomEvent::Departed`] before.
    fn closed(&self, room: &RoomName);

    /// Something happened in `room` on this node, whose own members have it already.
    fn publish(&self, room: &RoomName, event: &RoomEvent);
}

/// The bus of a single node: everybody has been told already.
#[derive(Clone, Copy, Debug, Default)]
pub struct InProcessBus;

/// Something that happened in a room on one node. A clone is a few reference counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoomEvent {
    /// A frame for all members but some.
    Said {
        /// What they get.
        frame: Frame,
        /// Who does not.
        except: Except,
    },
    /// A user got their first connection in the room on that node.
    Arrived(Member),
    /// A user lost their last connection in the room on that node.
    Departed(UserId),
}

/// Who of a room does not get a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Except {
    /// Everybody gets it.
    Nobody,
    /// Not this connection. The user's other ones do.
    Connection(ConnectionId),
    /// Not this user, on any connection.
    User(UserId),
}

impl Bus for InProcessBus {
    fn opened(&self, _room: &RoomName) {}

    fn closed(&self, _room: &RoomName) {}

    fn publish(&self, _room: &RoomName, _event: &RoomEvent) {}
}
