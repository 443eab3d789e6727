//! Who carries out a revocation: a running server also reaches its live connections, the command line the store alone.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use usher_auth::ids::UserId;
use usher_auth::revocation::{Revocation, RevocationCause, RevocationTarget};
use usher_store::{Store, StoreError};

use crate::audit::{AuditTrail, Record};

/// Carries out revocations.
#[async_trait]
pub trait Revoker: Send + Sync {
    /// Revoke, durably before anything else. Returns how many live connections were ended, or will be after the `margin` in which
    /// their clients may bring another credential.
    async fn revoke(&self, revocation: &Revocation, margin: Option<Duration>) -> Result<usize, StoreError>;

    /// Take back what `cause` did to `user`.
    async fn lift(&self, user: &UserId, cause: RevocationCause) -> Result<(), StoreError>;

    /// A user's name, roles, keys or state changed: what is remembered of earlier look-ups no longer holds.
    fn user_changed(&self, user: &UserId);
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
        for one in self.store.revoke(revocation).await? {
            self.audit.record(Record::revoked(&one, owner.as_ref()));
        }
        Ok(0)
    }

    async fn lift(&self, user: &UserId, cause: RevocationCause) -> Result<(), StoreError> {
        self.store.lift_revocations(user, cause).await.map(|_| ())
    }

    fn user_changed(&self, _user: &UserId) {}
}

/// Whose credential a revocation is about to end, for the audit: afterwards it is gone.
pub(crate) async fn owner(store: &dyn Store, revocation: &Revocation) -> Result<Option<UserId>, StoreError> {
    Ok(match &revocation.target {
        RevocationTarget::Session(id) => store.session(id).await?.map(|session| session.user),
        RevocationTarget::User { user, .. } => Some(user.clone()),
        RevocationTarget::ApiKey(id) => {
            store.api_keys(None).await?.into_iter().find(|key| key.id == *id).map(|key| key.user)
        }
        RevocationTarget::Token(..) => None,
    })
}
