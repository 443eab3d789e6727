//! Rooms behind the door.

use std::sync::Arc;

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

impl Handler for RoomsHandler {
    type Session = Attendance;

    fn open(&self, permit: &Permit, connection: &Arc<ConnectionHandle>, _now: Now) -> Attendance {
        self.rooms.attach(permit, connection.id(), Arc::new(Outbox(connection.clone())))
    }

    fn message(&self, attendance: &mut Attendance, message: ClientMessage, _now: Now) -> Flow {
        match attendance.handle(&message) {
            Ok(()) => Flow::Continue,
            Err(error) => error.close_cause().map_or(Flow::Continue, Flow::End),
        }
    }

    fn recheck(&self, attendance: &mut Attendance, _now: Now) {
        attendance.recheck();
    }

    fn renew(&self, attendance: &mut Attendance, permit: &Permit, _now: Now) -> Vec<RoomName> {
        attendance.renew(permit)
    }
}
