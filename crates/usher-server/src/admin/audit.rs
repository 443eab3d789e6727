//! Operations on the audit trail, and what it is told of the others.

use std::path::PathBuf;

use super::done::Done;
use super::{AdminError, Administration, Answer, MAX_TAIL};
use usher_audit::{Outcome, Record};

/// By whom administration is done, as the record's carrier.
const COMMAND_LINE: &str = "command_line";

impl Administration {
    pub(super) async fn tail_audit(&self, limit: u32) -> Result<Answer, AdminError> {
        Ok(Answer::AuditLines { lines: self.audit.tail(limit.clamp(1, MAX_TAIL)).await? })
    }

    pub(super) async fn verify_audit(&self, rotated: Vec<PathBuf>) -> Result<Answer, AdminError> {
        Ok(Answer::AuditVerified { chains: self.audit.verify(rotated).await? })
    }

    /// Records what an operation did. What is revoked by it is recorded by the revoker.
    pub(super) fn record(&self, done: &Done) {
        let Done { event, reason, subject, detail } = done;
        let mut record = Record::new(*event, Outcome::Success).subject(subject).carrier(COMMAND_LINE);
        if let Some(reason) = reason {
            record = record.reason(reason);
        }
        if let Some(detail) = detail {
            record = record.detail(detail);
        }
        self.audit.record(record);
    }
}
