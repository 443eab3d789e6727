//! What the audit trail is told of an operation.

use usher_auth::ids::UserId;

use super::Operation;
use usher_audit::AuditEvent;

/// What an operation will have done, if it is.
pub(super) struct Done {
    pub(super) event: AuditEvent,
    pub(super) reason: Option<&'static str>,
    pub(super) subject: UserId,
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
