//! Everybody who is told what happens at the door.

use usher_axum::Observer;
use usher_axum::observer::{Event, Scene};

use crate::audit::AuditObserver;
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
