//! Who carries out a revocation: a running server also reaches its live connections, the command line the store alone.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use usher_auth::ids::{SessionId, UserId};
use usher_auth::revocation::{Revocation, RevocationTarget};
use usher_store::{ChangedUser, Store, StoreError};

use usher_audit::{AuditTrail, Record};

/// Carries out revocations.
#[async_trait]
pub trait Revoker: Send + Sync {
    /// Revoke, durably before anything else. Returns how many live connections were ended, or will be after the `margin` in which
    /// their clients may bring another credential.
    async fn revoke(&self, revocation: &Revocation, margin: Option<Duration>) -> Result<usize, StoreError>;

    /// Whether a live connection belongs to this session.
    fn has_connections(&self, session: &SessionId) -> bool;

    /// Record revocations that the store remembers already, and end the live connections that they mean. `owner` is whose credentials
    /// they are, where a target does not say so. Returns how many connections were ended.
    async fn carry_out(&self, remembered: &[Revocation], owner: Option<&UserId>) -> usize;

    /// A user was changed in the store and is now as `changed` says. Refuses or admits them from now on, and lets live connections go
    /// on with the roles of now. Returns how many connections were ended.
    async fn user_changed(&self, id: &UserId, changed: &ChangedUser) -> usize;

    /// Another issuer's user was banned in the store. Returns how many live connections were ended.
    async fn banned(&self, id: &UserId, remembered: &[Revocation]) -> usize;

    /// Another issuer's user is not banned any more.
    async fn unbanned(&self, id: &UserId);

    /// A user was added: what is remembered of earlier look-ups no longer holds.
    async fn user_added(&self, id: &UserId);
}

/// Revokes in the store, where no server runs that could have connections.
#[derive(Clone)]
pub struct StoreRevoker {
    /// Where.
    pub store: Arc<dyn Store>,
    /// What is revoked is recorded.
    pub audit: AuditTrail,
}

#[async_trait]
impl Revoker for StoreRevoker {
    async fn revoke(&self, revocation: &Revocation, _margin: Option<Duration>) -> Result<usize, StoreError> {
        let owner = owner(&*self.store, revocation).await?;
        let remembered = self.store.revoke(revocation).await?;
        Ok(self.carry_out(&remembered, owner.as_ref()).await)
    }

    fn has_connections(&self, _session: &SessionId) -> bool {
        false
    }

    async fn carry_out(&self, remembered: &[Revocation], owner: Option<&UserId>) -> usize {
        for one in remembered {
            self.audit.record(Record::revoked(one, owner));
        }
        0
    }

    async fn user_changed(&self, id: &UserId, changed: &ChangedUser) -> usize {
        self.carry_out(&changed.revoked, Some(id)).await
    }

    async fn banned(&self, id: &UserId, remembered: &[Revocation]) -> usize {
        self.carry_out(remembered, Some(id)).await
    }

    async fn unbanned(&self, _id: &UserId) {}

    async fn user_added(&self, _id: &UserId) {}
}

/// Whose credential a revocation is about to end, for the audit: afterwards it is gone.
pub async fn owner(store: &dyn Store, revocation: &Revocation) -> Result<Option<UserId>, StoreError> {
    Ok(match &revocation.target {
        RevocationTarget::Session(id) => store.session(id).await?.map(|session| session.user),
        RevocationTarget::User { user, .. } => Some(user.clone()),
        RevocationTarget::ApiKey(id) => store.api_key(id).await?.map(|key| key.user),
        RevocationTarget::Token(..) | RevocationTarget::IssuerSession(..) | RevocationTarget::IssuerSubject { .. } => {
            None
        }
    })
}
