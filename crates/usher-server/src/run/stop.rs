//! The end of a server whose connections are drained: what is queued is written, and the store is closed.

use std::time::Duration;

use tokio::time::timeout;

use crate::admin::ControlSocket;
use crate::backends::Backends;
use crate::server::Server;
use usher_audit::{AuditEvent, AuditTrail, Outcome, Record};

/// How long the audit's sinks have to take what is queued.
const AUDIT_PATIENCE: Duration = Duration::from_secs(10);
/// How long the store has to finish what is under way and to move its write-ahead log into the file.
const CLOSE_PATIENCE: Duration = Duration::from_secs(10);

/// Writes what is queued and closes the store. What could not be written is an error in the log.
pub(super) async fn stop(server: &Server, audit: &AuditTrail, backends: &Backends<ControlSocket>) {
    audit.record(Record::new(AuditEvent::Shutdown, Outcome::Success));
    let in_time = timeout(AUDIT_PATIENCE, audit.finish()).await.is_ok();
    if timeout(CLOSE_PATIENCE, backends.close()).await.is_err() {
        tracing::warn!("the store was not closed in time: its write-ahead log is read at the next start");
    }
    // Last, so that what came too late is counted, too.
    let records = audit.status().unwritten();
    if !in_time || records > 0 {
        tracing::error!(records, "audit records were lost: the sinks did not take them before the end");
    }
    let sessions = server.store().unwritten();
    if sessions > 0 {
        tracing::error!(
            sessions,
            "uses of sessions were lost: the store did not take them before the end, and their idle limit counts from earlier"
        );
    }
    let addresses = server.unsaved_addresses();
    if addresses > 0 {
        tracing::warn!(addresses, "known addresses were lost: the store did not take them before the end");
    }
}
