//! Rooms behind the door.

use std::sync::Arc;

use usher_auth::room::{RoomAction, RoomName};
use usher_auth::wire::{ClientMessage, Frame};
use usher_auth::{Now, Permit};
use usher_axum::{ConnectionHandle, Flow, Handler};
use usher_rooms::{Attendance, Receiver, RoomError, Rooms};

use crate::audit::{AuditEvent, AuditTrail, Outcome, Record};

/// Puts connections into rooms.
pub struct RoomsHandler {
    rooms: Rooms,
    audit: AuditTrail,
}

impl RoomsHandler {
    /// Over these rooms. What is not allowed in them is recorded.
    pub fn new(rooms: Rooms, audit: AuditTrail) -> Self {
        Self { rooms, audit }
    }
}

/// A connection, as rooms see it.
struct Outbox(Arc<ConnectionHandle>);

impl Receiver for Outbox {
    fn deliver(&self, frame: &Frame) {
        self.0.deliver(frame);
    }
}

/// A connection in its rooms, and who it is.
pub struct Attendant {
    attendance: Attendance,
    permit: Permit,
    connection: Arc<ConnectionHandle>,
}

impl Attendant {
    /// A record of what its holder did in a room.
    fn record(&self, event: AuditEvent, outcome: Outcome, room: &str) -> Record {
        let record = Record::new(event, outcome).by(&self.permit).room(room);
        match self.connection.scene() {
            Some(scene) => record.on(&scene),
            None => record,
        }
    }
}

impl Handler for RoomsHandler {
    type Session = Attendant;

    fn open(&self, permit: &Permit, connection: &Arc<ConnectionHandle>, _now: Now) -> Attendant {
        let attendance = self.rooms.attach(permit, connection.id(), Arc::new(Outbox(connection.clone())));
        Attendant { attendance, permit: permit.clone(), connection: connection.clone() }
    }

    fn message(&self, attendant: &mut Attendant, message: ClientMessage, _now: Now) -> Flow {
        // Asked again for a room that it is in already, a client is answered again, and nothing was joined.
        let joins = match &message {
            ClientMessage::Join { room, .. } if self.audit.records_joins() => {
                Some(room).filter(|room| !attendant.attendance.rooms().any(|joined| joined == *room))
            }
            _ => None,
        };
        match attendant.attendance.handle(&message) {
            Ok(()) => {
                if let Some(room) = joins {
                    self.audit.record(attendant.record(AuditEvent::RoomJoined, Outcome::Success, room.as_str()));
                }
                Flow::Continue
            }
            Err(error) => {
                if let Some(record) = denied(attendant, &error) {
                    self.audit.record(record);
                }
                error.close_cause().map_or(Flow::Continue, Flow::End)
            }
        }
    }

    fn recheck(&self, attendant: &mut Attendant, _now: Now) {
        attendant.attendance.recheck();
    }

    fn renew(&self, attendant: &mut Attendant, permit: &Permit, _now: Now) -> Vec<RoomName> {
        attendant.permit = permit.clone();
        attendant.attendance.renew(permit)
    }
}

/// The record of what was not allowed; none of what was merely done in the wrong order.
fn denied(attendant: &Attendant, error: &RoomError) -> Option<Record> {
    let (event, reason) = match error {
        RoomError::Forbidden { action: RoomAction::Join, .. } => (AuditEvent::AuthzFail, "join_forbidden"),
        RoomError::Forbidden { action: RoomAction::Publish, .. } => (AuditEvent::AuthzFail, "publish_forbidden"),
        RoomError::Forbidden { action: RoomAction::Typing, .. } => (AuditEvent::AuthzFail, "typing_forbidden"),
        RoomError::TooManyRooms { .. } => (AuditEvent::RateLimitExceeded, "too_many_rooms"),
        RoomError::NotJoined { .. } => return None,
    };
    Some(attendant.record(event, Outcome::Denied, error.room().as_str()).reason(reason))
}
