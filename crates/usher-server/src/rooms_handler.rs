//! Rooms behind the door.

use std::sync::Arc;

use usher_auth::close_code::CloseCause;
use usher_auth::room::RoomName;
use usher_auth::wire::{ClientMessage, Frame};
use usher_auth::{Now, Permit};
use usher_axum::{ConnectionHandle, Flow, Handler};
use usher_rooms::{Attendance, Receiver, Rooms};

/// Puts connections into rooms.
pub struct RoomsHandler {
    rooms: Rooms,
}

impl RoomsHandler {
    /// Over these rooms.
    pub fn new(rooms: Rooms) -> Self {
        Self { rooms }
    }
}

/// A connection, as rooms see it.
struct Outbox(Arc<ConnectionHandle>);

impl Receiver for Outbox {
    fn deliver(&self, frame: &Frame) {
        self.0.deliver(frame);
    }
}
