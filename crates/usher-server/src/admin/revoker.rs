//! Who carries out a revocation: a running server also reaches its live connections, the command line the store alone.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use usher_auth::ids::UserId;
use usher_auth::revocation::{Revocation, RevocationCause};
use usher_store::{Store, StoreError};

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
pub struct StoreRevoker(pub Arc<dyn Store>);

#[async_trait]
impl Revoker for StoreRevoker {
    async fn revoke(&self, revocation: &Revocation, _margin: Option<Duration>) -> Result<usize, StoreError> {
        self.0.revoke(revocation).await.map(|_| 0)
    }

    async fn lift(&self, user: &UserId, cause: RevocationCause) -> Result<(), StoreError> {
        self.0.lift_revocations(user, cause).await.map(|_| ())
    }

    fn user_changed(&self, _user: &UserId) {}
}
