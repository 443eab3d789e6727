//! From what users do in rooms to records.

use usher_auth::Permit;
use usher_auth::room::{RoomAction, RoomName};
use usher_axum::observer::Scene;
use usher_axum::rooms::RoomObserver;
use usher_rooms::RoomError;

use usher_audit::{AuditEvent, AuditTrail, Outcome, Record};

use super::audit::on;

/// Records what is not allowed in rooms, and joins if the trail is to have them.
pub(crate) struct AuditRoomObserver(pub(crate) AuditTrail);

impl AuditRoomObserver {
    fn record(&self, record: Record, permit: &Permit, scene: Option<&Scene<'_>>, room: &RoomName) {
        let record = record.by(permit).room(room.as_str());
        self.0.record(match scene {
            Some(scene) => on(record, scene),
            None => record,
        });
    }
}

impl RoomObserver for AuditRoomObserver {
    fn wants_joins(&self) -> bool {
        self.0.records_joins()
    }

    fn joined(&self, permit: &Permit, scene: Option<&Scene<'_>>, room: &RoomName) {
        self.record(Record::new(AuditEvent::RoomJoined, Outcome::Success), permit, scene, room);
    }

    /// Nothing is recorded of what was merely done in the wrong order.
    fn refused(&self, permit: &Permit, scene: Option<&Scene<'_>>, error: &RoomError) {
        let (event, reason) = match error {
            RoomError::Forbidden { action: RoomAction::Join, .. } => (AuditEvent::AuthzFail, "join_forbidden"),
            RoomError::Forbidden { action: RoomAction::Publish, .. } => (AuditEvent::AuthzFail, "publish_forbidden"),
            RoomError::Forbidden { action: RoomAction::Typing, .. } => (AuditEvent::AuthzFail, "typing_forbidden"),
            RoomError::TooManyRooms { .. } => (AuditEvent::RateLimitExceeded, "too_many_rooms"),
            RoomError::NotJoined { .. } => return,
        };
        self.record(Record::new(event, Outcome::Denied).reason(reason), permit, scene, error.room());
    }
}
