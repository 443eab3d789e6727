//! Sessions.

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use usher_auth::UnixTime;
use usher_auth::ids::{SessionId, UserId};
use usher_auth::revocation::{RevocationCause, RevocationTarget};
use usher_auth::secret::HashedToken;
use usher_auth::session::Session;
use usher_store::backend::{beyond_limit, is_still};
use usher_store::{NewSession, SessionStore, StartedSession, StoreError};

use super::rows::{Columns, During, RowError, bytes, read_all, read_one};
use super::writing::Writing;
use super::{SqlStore, refresh_tokens, revocations, users};

#[async_trait]
impl SessionStore for SqlStore {
    async fn create_session(&self, session: &Session) -> Result<(), StoreError> {
        let mut writing = self.write("remembering a session").await?;
        insert(&mut writing, session).await?;
        writing.commit().await
    }

    async fn start_session(&self, new: &NewSession<'_>) -> Result<StartedSession, StoreError> {
        let context = "starting a session";
        let user = &new.session.user;
        let mut writing = self.write(context).await?;
        let found = users::find_with_password(writing.connection(), user, context).await?;
        if !is_still(found.as_ref(), new.proven) {
            writing.roll_back().await?;
            return Ok(StartedSession::UserChanged);
        }
        let mut ended = Vec::new();
        if let Some(replaced) = new.replaces {
            ended.push((replaced.clone(), RevocationCause::Logout));
        }
        let others = sqlx::query("SELECT id FROM sessions WHERE user_id = ? AND id <> ? ORDER BY number")
            .bind(user.as_str())
            .bind(new.replaces.map_or("", SessionId::as_str));
        let others = writing.fetch_all(others).await?;
        let others = read_all(others, |row| row.id("id", SessionId::new), context)?;
        ended.extend(beyond_limit(others, new.most).into_iter().map(|id| (id, RevocationCause::SessionLimit)));
        let mut revoked = Vec::new();
        for (id, cause) in ended {
            let revocation = new.revocation.revocation(RevocationTarget::Session(id), cause);
            revoked.extend(revocations::revoke(&mut writing, &revocation, context).await?);
        }
        insert(&mut writing, new.session).await?;
        set_family(&mut writing, &new.session.id, &new.refresh_family).await?;
        refresh_tokens::insert(&mut writing, new.refresh_token, context).await?;
        writing.commit().await?;
        Ok(StartedSession::Started(revoked))
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

    async fn sessions_of(
        &self,
        user: &UserId,
        after: Option<&SessionId>,
        limit: u32,
    ) -> Result<Vec<Session>, StoreError> {
        let context = "listing a user's sessions";
        // No id is empty, so that all come after the empty one.
        let rows = sqlx::query(
            "SELECT id, user_id, secret_hash, created_at, last_seen_at, client_ip, user_agent FROM sessions
             WHERE user_id = ? AND id > ? ORDER BY id LIMIT ?",
        )
        .bind(user.as_str())
        .bind(after.map_or("", SessionId::as_str))
        .bind(limit)
        .fetch_all(self.reader(context)?)
        .await
        .during(context)?;
        read_all(rows, read_session, context)
    }

    async fn touch_session(&self, id: &SessionId, seen_at: UnixTime) -> Result<bool, StoreError> {
        let mut writing = self.write("noting a session's use").await?;
        let found = touch(&mut writing, id, seen_at).await?;
        writing.commit().await?;
        Ok(found)
    }

    async fn touch_sessions(&self, uses: &[(SessionId, UnixTime)]) -> Result<u64, StoreError> {
        let context = "noting the use of sessions";
        let uses: Vec<_> = uses.iter().map(|(id, seen_at)| (id.as_str(), seen_at.as_millis())).collect();
        let uses = serde_json::to_string(&uses).during(context)?;
        // One statement for all: the writer is held for as long as it takes, and a round trip for each session would be most of that.
        let update = sqlx::query(
            "UPDATE sessions SET last_seen_at = max(last_seen_at, uses.seen_at)
             FROM (SELECT value ->> 0 AS id, max(value ->> 1) AS seen_at FROM json_each(?) GROUP BY 1) AS uses
             WHERE sessions.id = uses.id",
        )
        .bind(uses);
        let mut writing = self.write(context).await?;
        let touched = writing.execute(update).await?;
        writing.commit().await?;
        Ok(touched.rows_affected())
    }

    async fn reap_sessions(&self, idle_before: UnixTime, created_before: UnixTime) -> Result<u64, StoreError> {
        let delete = sqlx::query("DELETE FROM sessions WHERE last_seen_at < ? OR created_at < ?")
            .bind(idle_before.as_millis())
            .bind(created_before.as_millis());
        self.delete(delete, "removing sessions that are over").await
    }
}

/// Its number is more than that of every other session: the order of remembering, which no clock decides.
async fn insert(writing: &mut Writing, session: &Session) -> Result<(), StoreError> {
    let insert = sqlx::query(
        "INSERT INTO sessions (id, user_id, secret_hash, created_at, last_seen_at, client_ip, user_agent, number)
         VALUES (?, ?, ?, ?, ?, ?, ?, (SELECT ifnull(max(number), 0) + 1 FROM sessions))",
    )
    .bind(session.id.as_str())
    .bind(session.user.as_str())
    .bind(bytes(&session.secret))
    .bind(session.created_at.as_millis())
    .bind(session.last_seen_at.as_millis())
    .bind(session.client_ip.as_deref())
    .bind(session.user_agent.as_deref());
    writing.execute(insert).await.map(|_| ())
}

/// Note what a session's refresh tokens have in common.
pub(super) async fn set_family(writing: &mut Writing, id: &SessionId, family: &HashedToken) -> Result<(), StoreError> {
    let update = sqlx::query("UPDATE sessions SET refresh_family = ? WHERE id = ? AND refresh_family IS NOT ?")
        .bind(bytes(family))
        .bind(id.as_str())
        .bind(bytes(family));
    writing.execute(update).await.map(|_| ())
}

/// Note that a session was used; false if there is none of that id.
pub(super) async fn touch(writing: &mut Writing, id: &SessionId, seen_at: UnixTime) -> Result<bool, StoreError> {
    let update = sqlx::query("UPDATE sessions SET last_seen_at = max(last_seen_at, ?) WHERE id = ?")
        .bind(seen_at.as_millis())
        .bind(id.as_str());
    Ok(writing.execute(update).await?.rows_affected() == 1)
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
