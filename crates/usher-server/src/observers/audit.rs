//! From what happens at the door to records.

use usher_auth::close_code::CloseCause;
use usher_axum::Observer;
use usher_axum::observer::{Event, Scene};
use usher_axum::rooms::ROOMS_LOST;

use usher_audit::{AuditEvent, AuditTrail, Outcome, Record};

/// Records what happens at the door.
pub(crate) struct AuditObserver(pub(crate) AuditTrail);

impl Observer for AuditObserver {
    fn observe(&self, scene: &Scene<'_>, event: &Event<'_>) {
        let record = match event {
            // How long something took is for the metrics; that a socket waits is known once it is let in or closed.
            Event::Verified { .. } | Event::Answered { .. } | Event::Waiting => return,
            Event::Refused { refusal, carrier } => {
                let record = Record::refused(refusal);
                match carrier {
                    Some(carrier) => record.carrier(carrier.as_str()),
                    None => record,
                }
            }
            Event::Opened { permit } => {
                let record = Record::new(AuditEvent::LoginSuccess, Outcome::Success).by(permit);
                if permit.principal().anonymous { record.reason("anonymous") } else { record }
            }
            Event::Renewed { permit, answer } => {
                let lost = answer.0.get(ROOMS_LOST).and_then(|lost| lost.as_array());
                let record = Record::new(AuditEvent::SessionRenewed, Outcome::Success).by(permit);
                record.losing_rooms(lost.map_or(0, Vec::len))
            }
            Event::Closed { permit, cause, code, revoked, lasted, .. } => {
                let (event, outcome) = ended(*cause);
                let mut record = Record::new(event, outcome);
                if let Some(permit) = permit {
                    record = record.by(permit);
                }
                let record = record.closed(*code, *lasted).reason(cause.as_str());
                match revoked.filter(|_| *cause == CloseCause::Revoked) {
                    Some(revoked) => record.detail(revoked.as_str()),
                    None => record,
                }
            }
        };
        self.0.record(on(record, scene));
    }
}

/// What happened on a connection.
pub(super) fn on(record: Record, scene: &Scene<'_>) -> Record {
    record.on(scene.connection).from(scene.client, scene.origin, scene.route)
}

/// How the end of a connection is called, by its cause. Only a credential that ended, by itself or because it was revoked, is the end of
/// a session; whatever else ends a connection leaves the session as it was.
fn ended(cause: CloseCause) -> (AuditEvent, Outcome) {
    match cause {
        CloseCause::Expired | CloseCause::Revoked => (AuditEvent::SessionExpired, Outcome::Success),
        CloseCause::ClientLeft | CloseCause::GoingAway | CloseCause::Draining => {
            (AuditEvent::ConnectionClosed, Outcome::Success)
        }
        CloseCause::TooMany => (AuditEvent::RateLimitExceeded, Outcome::Denied),
        CloseCause::Forbidden => (AuditEvent::ConnectionClosed, Outcome::Denied),
        _ => (AuditEvent::ConnectionClosed, Outcome::Failure),
    }
}
