//! Sessions in memory.

use std::collections::HashSet;

use async_trait::async_trait;
use usher_auth::UnixTime;
use usher_auth::ids::{SessionId, UserId};
use usher_auth::revocation::{RevocationCause, RevocationTarget};
use usher_auth::secret::HashedToken;
use usher_auth::session::Session;

use super::MemoryStore;
use super::tables::{Duplicate, Tables};
use crate::backend::{beyond_limit, is_still};
use crate::{NewSession, SessionStore, StartedSession, StoreError};

#[async_trait]
impl SessionStore for MemoryStore {
    async fn create_session(&self, session: &Session) -> Result<(), StoreError> {
        let added = self.tables().insert_session(session.clone());
        added.map_err(|duplicate| StoreError::new("remembering a session", duplicate))
    }

    async fn start_session(&self, new: &NewSession<'_>) -> Result<StartedSession, StoreError> {
        let mut tables = self.tables();
        let user = &new.session.user;
        if !is_still(tables.users.get(user), new.proven) {
            return Ok(StartedSession::UserChanged);
        }
        // Nothing may be left half done: both can be inserted, or neither is.
        if tables.session(&new.session.id).is_some()
            || tables.session_by_secret(&new.session.secret).is_some()
            || tables.refresh_tokens.contains_key(&new.refresh_token.secret)
        {
            return Err(StoreError::new("starting a session", Duplicate));
        }
        let mut revoked = Vec::new();
        if let Some(replaced) = new.replaces {
            let target = RevocationTarget::Session(replaced.clone());
            revoked.extend(tables.revoke(&new.revocation.revocation(target, RevocationCause::Logout)));
        }
        for id in beyond_limit(tables.sessions_of_in_order(user), new.most) {
            let target = RevocationTarget::Session(id);
            revoked.extend(tables.revoke(&new.revocation.revocation(target, RevocationCause::SessionLimit)));
        }
        let context = "starting a session";
        tables.insert_session(new.session.clone()).map_err(|duplicate| StoreError::new(context, duplicate))?;
        tables
            .insert_refresh_token(new.refresh_token.clone())
            .map_err(|duplicate| StoreError::new(context, duplicate))?;
        Ok(StartedSession::Started(revoked))
    }

    async fn session_by_secret(&self, secret: &HashedToken) -> Result<Option<Session>, StoreError> {
        Ok(self.tables().session_by_secret(secret).cloned())
    }

    async fn session(&self, id: &SessionId) -> Result<Option<Session>, StoreError> {
        Ok(self.tables().session(id).cloned())
    }

    async fn sessions_of(
        &self,
        user: &UserId,
        after: Option<&SessionId>,
        limit: u32,
    ) -> Result<Vec<Session>, StoreError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let tables = self.tables();
        let later = tables.sessions().filter(|session| after.is_none_or(|after| session.id > *after));
        Ok(later.filter(|session| session.user == *user).take(limit).cloned().collect())
    }

    async fn touch_session(&self, id: &SessionId, seen_at: UnixTime) -> Result<bool, StoreError> {
        Ok(self.tables().touch_session(id, seen_at))
    }

    async fn touch_sessions(&self, uses: &[(SessionId, UnixTime)]) -> Result<u64, StoreError> {
        let mut tables = self.tables();
        let touched = uses.iter().filter(|(id, seen_at)| tables.touch_session(id, *seen_at)).map(|(id, _)| id);
        Ok(touched.collect::<HashSet<_>>().len() as u64)
    }

    async fn reap_sessions(&self, idle_before: UnixTime, created_before: UnixTime) -> Result<u64, StoreError> {
        let over = |session: &Session| session.last_seen_at < idle_before || session.created_at < created_before;
        Ok(self.tables().remove_sessions(over).len() as u64)
    }
}

impl Tables {
    pub(super) fn touch_session(&mut self, id: &SessionId, seen_at: UnixTime) -> bool {
        let Some(session) = self.session_mut(id) else { return false };
        session.last_seen_at = session.last_seen_at.max(seen_at);
        true
    }
}
