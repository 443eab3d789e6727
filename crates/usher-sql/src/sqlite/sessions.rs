//! Sessions.

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use usher_auth::UnixTime;
use usher_auth::ids::{SessionId, UserId};
use usher_auth::secret::HashedToken;
use usher_auth::session::Session;
use usher_store::{SessionStore, StoreError};

use super::SqlStore;
use super::rows::{Columns, During, RowError, bytes, read_all, read_one};

#[async_trait]
impl SessionStore for SqlStore {
    async fn create_session(&self, session: &Session) -> Result<(), StoreError> {
        let context = "remembering a session";
        sqlx::query(
            "INSERT INTO sessions (id, user_id, secret_hash, created_at, last_seen_at, client_ip, user_agent)
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(session.id.as_str())
        .bind(session.user.as_str())
        .bind(bytes(&session.secret))
        .bind(session.created_at.as_millis())
        .bind(session.last_seen_at.as_millis())
        .bind(session.client_ip.as_deref())
        .bind(session.user_agent.as_deref())
        .execute(self.writer(context)?)
        .await
        .during(context)?;
        Ok(())
    }

    async fn session_by_secret(&self, secret: &HashedToken) -> Result<Option<Session>, StoreError> {
        let context = "looking up a session by its secret";
        let row = sqlx::query(
            "SELECT id, user_id, secret_hash, created_at, last_seen_at, client_ip, user_agent FROM sessions
             WHERE secret_hash = ?",
        )
        .bind(bytes(secret))
        .fetch_optional(self.reader(context)?)
        .await
        .during(context)?;
        read_one(row, read_session, context)
    }

    async fn session(&self, id: &SessionId) -> Result<Option<Session>, StoreError> {
        let context = "looking up a session";
        let row = sqlx::query(
            "SELECT id, user_id, secret_hash, created_at, last_seen_at, client_ip, user_agent FROM sessions WHERE id = ?",
        )
        .bind(id.as_str())
        .fetch_optional(self.reader(context)?)
        .await
        .during(context)?;
        read_one(row, read_session, context)
    }

    async fn sessions_of(&self, user: &UserId) -> Result<Vec<Session>, StoreError> {
        let context = "listing a user's sessions";
        let rows = sqlx::query(
            "SELECT id, user_id, secret_hash, created_at, last_seen_at, client_ip, user_agent FROM sessions
             WHERE user_id = ? ORDER BY id",
        )
        .bind(user.as_str())
        .fetch_all(self.reader(context)?)
        .await
        .during(context)?;
        read_all(rows, read_session, context)
    }

    async fn touch_session(&self, id: &SessionId, seen_at: UnixTime) -> Result<bool, StoreError> {
        let context = "noting a session's use";
        let updated = sqlx::query("UPDATE sessions SET last_seen_at = max(last_seen_at, ?) WHERE id = ?")
            .bind(seen_at.as_millis())
            .bind(id.as_str())
            .execute(self.writer(context)?)
            .await
            .during(context)?;
        Ok(updated.rows_affected() == 1)
    }

    async fn reap_sessions(&self, idle_before: UnixTime, created_before: UnixTime) -> Result<u64, StoreError> {
        let context = "removing sessions that are over";
        let deleted = sqlx::query("DELETE FROM sessions WHERE last_seen_at < ? OR created_at < ?")
            .bind(idle_before.as_millis())
            .bind(created_before.as_millis())
            .execute(self.writer(context)?)
            .await
            .during(context)?;
        Ok(deleted.rows_affected())
    }
}

fn read_session(row: &SqliteRow) -> Result<Session, RowError> {
    Ok(Session {
        id: row.id("id", SessionId::new)?,
        user: row.id("user_id", UserId::new)?,
        secret: row.hash("secret_hash")?,
        created_at: row.time("created_at")?,
        last_seen_at: row.time("last_seen_at")?,
        client_ip: row.optional_text("client_ip")?,
        user_agent: row.optional_text("user_agent")?,
    })
}
