//! Everybody who is told what happens at the door.

mod audit;
mod audit_rooms;

use usher_axum::Observer;
use usher_axum::observer::{Event, Scene};

pub(crate) use self::audit::AuditObserver;
pub(crate) use self::audit_rooms::AuditRoomObserver;
use crate::metrics::Metrics;

/// The audit and the metrics.
pub(crate) struct Observers {
    pub(crate) audit: AuditObserver,
    pub(crate) metrics: Metrics,
}

impl Observer for Observers {
    fn observe(&self, scene: &Scene<'_>, event: &Event<'_>) {
        self.metrics.observe(scene, event);
        self.audit.observe(scene, event);
    }
}
