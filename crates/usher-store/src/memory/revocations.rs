//! Revocations in memory.

use async_trait::async_trait;
use usher_auth::UnixTime;
use usher_auth::revocation::{Revocation, RevocationTarget};
use usher_auth::session::RefreshState;
use usher_auth::session::Session;

use super::MemoryStore;
use super::tables::Tables;
use crate::backend::{Removed, used_later, with_removed};
use crate::{RevocationStore, StoreError};

#[async_trait]
impl RevocationStore for MemoryStore {
    async fn revoke(&self, revocation: &Revocation) -> Result<Vec<Revocation>, StoreError> {
        Ok(self.tables().revoke(revocation))
    }

    async fn revocations(&self) -> Result<Vec<Revocation>, StoreError> {
        Ok(self.tables().revocations().cloned().collect())
    }

    async fn newest_moment(&self) -> Result<Option<UnixTime>, StoreError> {
        let tables = self.tables();
        let used = tables.sessions().map(|session| session.last_seen_at);
        let issued = tables.refresh_tokens.values().map(|token| match token.state {
            RefreshState::Spent { at, .. } => token.issued_at.max(at),
            RefreshState::Fresh => token.issued_at,
        });
        Ok(used.chain(issued).chain(tables.revocations().map(|revocation| revocation.at)).max())
    }

    async fn reap_revocations(&self, now: UnixTime) -> Result<u64, StoreError> {
        Ok(self.tables().forget_revocations(|revocation| revocation.forget_at <= now))
    }
}

impl Tables {
    /// Remember `revocation` and what it removes; all that is remembered.
    pub(super) fn revoke(&mut self, revocation: &Revocation) -> Vec<Revocation> {
        let all = with_removed(revocation, self.remove_what_ends(revocation));
        for one in &all {
            self.remember_revocation(one);
        }
        all
    }

    fn remove_what_ends(&mut self, revocation: &Revocation) -> Removed {
        let mut removed = Removed::default();
        match &revocation.target {
            RevocationTarget::Session(id) => removed.sessions = self.remove_sessions(|session| session.id == *id),
            RevocationTarget::User { user, .. } if !revocation.cause.ends_sessions() => {
                let later = used_later(revocation);
                removed.sessions =
                    self.remove_sessions(|session| session.user == *user && session.last_seen_at > later);
            }
            RevocationTarget::User { user, except, .. } => {
                if revocation.cause.removes_api_keys() {
                    removed.api_keys = self.remove_api_keys(|key| key.user == *user);
                }
                let ends = |session: &Session| session.user == *user && Some(&session.id) != except.as_ref();
                removed.sessions = self.remove_sessions(ends);
            }
            RevocationTarget::Token(..)
            | RevocationTarget::IssuerSession(..)
            | RevocationTarget::IssuerSubject { .. } => {}
            RevocationTarget::ApiKey(id) => removed.api_keys = self.remove_api_keys(|key| key.id == *id),
        }
        removed
    }
}
