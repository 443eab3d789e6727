//! Sessions in memory.

use async_trait::async_trait;
use usher_auth::UnixTime;
use usher_auth::ids::{SessionId, UserId};
use usher_auth::secret::HashedToken;
use usher_auth::session::Session;

use super::MemoryStore;
use crate::{SessionStore, StoreError};

#[async_trait]
impl SessionStore for MemoryStore {
    async fn create_session(&self, session: &Session) -> Result<(), StoreError> {
        let added = self.tables().insert_session(session.clone());
        added.map_err(|duplicate| StoreError::new("remembering a session", duplicate))
    }

    async fn session_by_secret(&self, secret: &HashedToken) -> Result<Option<Session>, StoreError> {
        Ok(self.tables().session_by_secret(secret).cloned())
    }

    async fn session(&self, id: &SessionId) -> Result<Option<Session>, StoreError> {
        Ok(self.tables().session(id).cloned())
    }

    async fn sessions_of(&self, user: &UserId) -> Result<Vec<Session>, StoreError> {
        Ok(self.tables().sessions().filter(|session| session.user == *user).cloned().collect())
    }

    async fn touch_session(&self, id: &SessionId, seen_at: UnixTime) -> Result<bool, StoreError> {
        let mut tables = self.tables();
        let Some(session) = tables.session_mut(id) else { return Ok(false) };
        session.last_seen_at = session.last_seen_at.max(seen_at);
        Ok(true)
    }

    async fn reap_sessions(&self, idle_before: UnixTime, created_before: UnixTime) -> Result<u64, StoreError> {
        let over = |session: &Session| session.last_seen_at < idle_before || session.created_at < created_before;
        Ok(self.tables().remove_sessions(over).len() as u64)
    }
}
