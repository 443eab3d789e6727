//! Rooms as the application behind routes (feature `rooms`).

use std::sync::Arc;

use http::request::Parts;
use usher_auth::close_code::CloseCause;
use usher_auth::connection::PermitChange;
use usher_auth::protocol::ApplicationAnswer;
use usher_auth::room::RoomName;
use usher_auth::wire::Frame;
use usher_auth::{Now, Permit, Refusal};
use usher_rooms::{Attendance, Receiver, RoomError, RoomMessage, Rooms};

use crate::observer::Scene;
use crate::{Application, ConnectionHandle, Flow, Message, Presenter};

/// The member of `authenticated` that names the rooms a renewal lost.
pub const ROOMS_LOST: &str = "rooms_lost";

/// Puts connections into rooms: join, leave, typing, publish, and presence.
pub struct RoomsApplication {
    rooms: Rooms,
    observer: Arc<dyn RoomObserver>,
}

impl RoomsApplication {
    /// Over these rooms. `observer` is told what is joined, and what is not allowed; `()` ignores both.
    pub fn new(rooms: Rooms, observer: Arc<dyn RoomObserver>) -> Self {
        Self { rooms, observer }
    }
}

/// Is told what users do in rooms, for an audit trail. Called from the connections' tasks: must not block.
pub trait RoomObserver: Send + Sync + 'static {
    /// Whether it wants to be told of joins.
    fn wants_joins(&self) -> bool {
        false
    }

    /// A user joined a room that the connection was not in.
    fn joined(&self, permit: &Permit, scene: Option<&Scene<'_>>, room: &RoomName);

    /// What a client asked for was refused.
    fn refused(&self, permit: &Permit, scene: Option<&Scene<'_>>, error: &RoomError);
}

/// Ignores everything.
impl RoomObserver for () {
    fn joined(&self, _: &Permit, _: Option<&Scene<'_>>, _: &RoomName) {}

    fn refused(&self, _: &Permit, _: Option<&Scene<'_>>, _: &RoomError) {}
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
            RoomMessage::Join { room, .. } if self.observer.wants_joins() => {
                Some(room).filter(|room| !attendant.attendance.rooms().any(|joined| joined == *room))
            }
            _ => None,
        };
        match attendant.attendance.handle(&message) {
            Ok(()) => {
                if let Some(room) = joins {
                    self.observer.joined(attendant.attendance.permit(), attendant.connection.scene().as_ref(), room);
                }
                Flow::Continue
            }
            Err(error) => {
                self.observer.refused(attendant.attendance.permit(), attendant.connection.scene().as_ref(), &error);
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
