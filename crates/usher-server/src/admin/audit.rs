//! Operations on the audit trail, and what it is told of the others.

use std::path::PathBuf;

use usher_auth::ids::UserId;

use super::{AdminError, Administration, Answer, MAX_TAIL, Operation};
use crate::audit::{AuditEvent, Outcome, Record};

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

/// What an operation will have done, if it is.
pub(super) struct Done {
    event: AuditEvent,
    reason: Option<&'static str>,
    subject: UserId,
    pub(super) detail: Option<String>,
}

impl Done {
    /// `None` for an operation that changes nothing, or revokes only.
    pub(super) fn by(operation: &Operation) -> Option<Self> {
        let (event, reason, subject) = match operation {
            Operation::AddUser { id, .. } => (AuditEvent::UserCreated, None, id),
            Operation::DisableUser { id } => (AuditEvent::UserUpdated, Some("disabled"), id),
            Operation::EnableUser { id } => (AuditEvent::UserUpdated, Some("enabled"), id),
            Operation::BanUser { id } => (AuditEvent::UserUpdated, Some("banned"), id),
            Operation::UnbanUser { id } => (AuditEvent::UserUpdated, Some("unbanned"), id),
            Operation::RemoveUser { id } => (AuditEvent::UserDeleted, None, id),
            Operation::SetPassword { id, .. } => (AuditEvent::PasswordChange, None, id),
            Operation::SetRoles { id, .. } => (AuditEvent::AuthzChange, None, id),
            Operation::AddKey { user, .. } => (AuditEvent::TokenCreated, Some("api_key"), user),
            _ => return None,
        };
        Some(Self { event, reason, subject: subject.clone(), detail: None })
    }
}
