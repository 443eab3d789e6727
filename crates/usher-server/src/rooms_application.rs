//! Rooms as the application behind the routes.

use std::sync::Arc;

use http::request::Parts;
use usher_auth::close_code::CloseCause;
use usher_auth::connection::PermitChange;
use usher_auth::protocol::ApplicationAnswer;
use usher_auth::room::{RoomAction, RoomName};
use usher_auth::wire::Frame;
use usher_auth::{Now, Permit, Refusal};
use usher_axum::{Application, ConnectionHandle, Flow, Message, Presenter};
use usher_rooms::{Attendance, Receiver, RoomError, RoomMessage, Rooms};

use crate::audit::{AuditEvent, AuditTrail, Outcome, Record};

/// The member of `authenticated` that names the rooms a renewal lost.
pub(crate) const ROOMS_LOST: &str = "rooms_lost";

/// Puts connections into rooms.
pub struct RoomsApplication {
    rooms: Rooms,
    audit: AuditTrail,
}

impl RoomsApplication {
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
    connection: Arc<ConnectionHandle>,
}

impl Attendant {
    /// A record of what its holder did in a room.
    fn record(&self, event: AuditEvent, outcome: Outcome, room: &str) -> Record {
        let record = Record::new(event, outcome).by(self.attendance.permit()).room(room);
        match self.connection.scene() {
            Some(scene) => record.on(&scene),
            None => record,
        }
    }
}

impl Application for RoomsApplication {
    type Request = ();
    type Admitted = ();
    type Session = Attendant;

    fn request(&self, _: &Parts) {}

    /// Rooms take every user; what may be done in them is asked for each.
    async fn admit(self: Arc<Self>, (): (), _: Permit, _: Arc<Presenter>) -> Result<(), Refusal> {
        Ok(())
    }

    fn open(&self, (): (), permit: &Permit, connection: &Arc<ConnectionHandle>, _: Now) -> Attendant {
        let attendance = self.rooms.attach(permit, connection.id(), Arc::new(Outbox(connection.clone())));
        Attendant { attendance, connection: connection.clone() }
    }

    fn message(&self, attendant: &mut Attendant, message: Message, _: Now) -> Flow {
        let Message::Text(text) = message else { return Flow::End(CloseCause::UnsupportedData) };
        let message = match RoomMessage::parse(&text) {
            Ok(message) => message,
            Err(invalid) => return Flow::Invalid(invalid),
        };
        // Asked again for a room that it is in already, a client is answered again, and nothing was joined.
        let joins = match &message {
            RoomMessage::Join { room, .. } if self.audit.records_joins() => {
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

    fn rules_changed(&self, attendant: &mut Attendant, _: Now) {
        attendant.attendance.recheck();
    }

    fn permit_changed(
        &self,
        attendant: &mut Attendant,
        permit: &Permit,
        change: PermitChange,
        _: Now,
    ) -> ApplicationAnswer {
        let lost = match change {
            PermitChange::Renewed => attendant.attendance.renew(permit),
            PermitChange::RightsChanged => attendant.attendance.rights_changed(permit),
        };
        if lost.is_empty() {
            return ApplicationAnswer::default();
        }
        let lost: Vec<&str> = lost.iter().map(RoomName::as_str).collect();
        ApplicationAnswer::member(ROOMS_LOST, lost)
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
