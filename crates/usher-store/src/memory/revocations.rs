//! Revocations in memory.

use async_trait::async_trait;
use usher_auth::UnixTime;
use usher_auth::ids::{SessionId, UserId};
use usher_auth::revocation::{Revocation, RevocationCause, RevocationTarget};

use super::MemoryStore;
use super::tables::Tables;
use crate::backend::with_removed_sessions;
use crate::{RevocationStore, StoreError};

#[async_trait]
impl RevocationStore for MemoryStore {
    async fn revoke(&self, revocation: &Revocation) -> Result<Vec<Revocation>, StoreError> {
        let mut tables = self.tables();
        let all = with_removed_sessions(revocation, tables.remove_what_ends(revocation));
        for one in &all {
            tables.remember_revocation(one);
        }
        Ok(all)
    }

    async fn lift_revocations(&self, user: &UserId, cause: RevocationCause) -> Result<u64, StoreError> {
        let of_user =
            |target: &RevocationTarget| matches!(target, RevocationTarget::User { user: of, .. } if of == user);
        Ok(self.tables().forget_revocations(|one| one.cause == cause && of_user(&one.target)))
    }

    async fn revocations(&self, now: UnixTime) -> Result<Vec<Revocation>, StoreError> {
        Ok(self.tables().revocations().filter(|revocation| revocation.forget_at > now).cloned().collect())
    }

    async fn reap_revocations(&self, now: UnixTime) -> Result<u64, StoreError> {
        Ok(self.tables().forget_revocations(|revocation| revocation.forget_at <= now))
    }
}

impl Tables {
    /// Remove what `revocation` ends; the sessions removed.
    fn remove_what_ends(&mut self, revocation: &Revocation) -> Vec<SessionId> {
        match &revocation.target {
            RevocationTarget::Session(id) => self.remove_sessions(|session| session.id == *id),
            RevocationTarget::User { .. } if !revocation.cause.ends_sessions() => Vec::new(),
            RevocationTarget::User { user, issued_before, except } => {
                if revocation.cause == RevocationCause::UserDeleted {
                    self.remove_api_keys(|key| key.user == *user && key.created_at < *issued_before);
                }
                self.remove_sessions(|session| {
                    session.user == *user && session.created_at < *issued_before && Some(&session.id) != except.as_ref()
                })
            }
            RevocationTarget::Token(..) => Vec::new(),
            RevocationTarget::ApiKey(id) => {
                self.remove_api_keys(|key| key.id == *id);
                Vec::new()
            }
        }
    }
}
