//! What the handles of the audit trail and its writer share.

use std::sync::Arc;

use parking_lot::Mutex;
use usher_auth::Clock;

use super::AuditKeys;
use super::flood::Flood;
use super::status::Counters;

/// The clock, the keys, and what is counted.
pub(super) struct Core {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) keys: AuditKeys,
    /// Locked for a look-up, never over a wait.
    pub(super) flood: Mutex<Flood>,
    pub(super) counters: Counters,
}
