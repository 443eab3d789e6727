//! Refresh tokens.

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{Executor, Sqlite};
use usher_auth::UnixTime;
use usher_auth::ids::{SessionId, UserId};
use usher_auth::secret::HashedToken;
use usher_auth::session::{RefreshState, RefreshToken};
use usher_store::backend::{RotationDecision, decide_rotation, reuse_revocation, reuse_times, spent_beyond_limit};
use usher_store::{EndedFamily, RefreshOutcome, RefreshRotation, RefreshTokenStore, RevocationTimes, StoreError};

use super::SqlStore;
use super::rows::{Columns, During, RowError, bytes, read_all, read_one};
use super::writing::Writing;
use super::{revocations, sessions};

#[async_trait]
impl RefreshTokenStore for SqlStore {
    async fn create_refresh_token(&self, token: &RefreshToken) -> Result<(), StoreError> {
        let context = "remembering a refresh token";
        let mut writing = self.write(context).await?;
        insert(&mut writing, token, context).await?;
        writing.commit().await
    }

    async fn refresh_token(&self, secret: &HashedToken) -> Result<Option<RefreshToken>, StoreError> {
        let context = "looking up a refresh token";
        find(self.reader(context)?, secret, context).await
    }

    async fn rotate_refresh_token(&self, rotation: &RefreshRotation) -> Result<RefreshOutcome, StoreError> {
        let context = "rotating a refresh token";
        // The lock is held from before the first look to the commit, which is what makes one of two the first.
        let mut writing = self.write(context).await?;
        let Some(presented) = find(writing.connection(), &rotation.presented, context).await? else {
            writing.roll_back().await?;
            return Ok(RefreshOutcome::Unknown);
        };
        let successor = match &presented.state {
            RefreshState::Fresh => None,
            RefreshState::Spent { successor, .. } => find(writing.connection(), successor, context).await?,
        };
        let outcome = match decide_rotation(rotation, presented, successor) {
            RotationDecision::Answer(outcome) => {
                writing.roll_back().await?;
                return Ok(outcome);
            }
            RotationDecision::EndSession(presented) => {
                let reuse = reuse_revocation(reuse_times(rotation), &presented.session);
                let revoked = revocations::revoke(&mut writing, &reuse, context).await?;
                RefreshOutcome::Reused(EndedFamily { session: presented.session, user: presented.user, revoked })
            }
            RotationDecision::Rotate { spent, successor } => {
                insert(&mut writing, &successor, context).await?;
                update_state(&mut writing, &spent).await?;
                sessions::set_family(&mut writing, &spent.session, &rotation.family).await?;
                drop_spent_tokens(&mut writing, &spent, context).await?;
                sessions::touch(&mut writing, &spent.session, rotation.now).await?;
                RefreshOutcome::Rotated(spent)
            }
        };
        writing.commit().await?;
        Ok(outcome)
    }

    async fn end_refresh_family(
        &self,
        family: &HashedToken,
        when: RevocationTimes,
    ) -> Result<Option<EndedFamily>, StoreError> {
        let context = "ending the session of a refresh token that was spent long ago";
        // Without the lock first: a made-up token, which any client can send, must not keep writers waiting.
        if session_of_family(self.reader(context)?, family, context).await?.is_none() {
            return Ok(None);
        }
        let mut writing = self.write(context).await?;
        let Some((session, user)) = session_of_family(writing.connection(), family, context).await? else {
            writing.roll_back().await?;
            return Ok(None);
        };
        let revoked = revocations::revoke(&mut writing, &reuse_revocation(when, &session), context).await?;
        writing.commit().await?;
        Ok(Some(EndedFamily { session, user, revoked }))
    }

    async fn reap_refresh_tokens(&self, now: UnixTime) -> Result<u64, StoreError> {
        let context = "removing refresh tokens that are over";
        self.delete(
            sqlx::query("DELETE FROM refresh_tokens WHERE expires_at <= ? AND spent_at IS NOT NULL")
                .bind(now.as_millis()),
            context,
        )
        .await
    }
}

async fn session_of_family(
    executor: impl Executor<'_, Database = Sqlite>,
    family: &HashedToken,
    context: &'static str,
) -> Result<Option<(SessionId, UserId)>, StoreError> {
    let row = sqlx::query("SELECT id, user_id FROM sessions WHERE refresh_family = ?")
        .bind(bytes(family))
        .fetch_optional(executor)
        .await
        .during(context)?;
    read_one(row, |row| Ok((row.id("id", SessionId::new)?, row.id("user_id", UserId::new)?)), context)
}

async fn find(
    executor: impl Executor<'_, Database = Sqlite>,
    secret: &HashedToken,
    context: &'static str,
) -> Result<Option<RefreshToken>, StoreError> {
    let row = sqlx::query(
        "SELECT refresh_tokens.secret_hash, session_id, user_id, issued_at, expires_at, spent_at, successor_hash, sealed_successor
         FROM refresh_tokens JOIN sessions ON sessions.id = session_id
         WHERE refresh_tokens.secret_hash = ?",
    )
    .bind(bytes(secret))
    .fetch_optional(executor)
    .await
    .during(context)?;
    read_one(row, read_refresh_token, context)
}

/// Fails if the token's user has no such session.
pub(super) async fn insert(
    writing: &mut Writing,
    token: &RefreshToken,
    context: &'static str,
) -> Result<(), StoreError> {
    let (spent_at, successor, sealed_successor) = columns_of(&token.state);
    let insert = sqlx::query(
        "INSERT INTO refresh_tokens
             (secret_hash, session_id, issued_at, expires_at, spent_at, successor_hash, sealed_successor)
         SELECT ?, id, ?, ?, ?, ?, ? FROM sessions WHERE id = ? AND user_id = ?",
    )
    .bind(bytes(&token.secret))
    .bind(token.issued_at.as_millis())
    .bind(token.expires_at.as_millis())
    .bind(spent_at)
    .bind(successor)
    .bind(sealed_successor)
    .bind(token.session.as_str())
    .bind(token.user.as_str());
    let inserted = writing.execute(insert).await?;
    if inserted.rows_affected() == 1 { Ok(()) } else { Err(StoreError::new(context, "its user has no such session")) }
}

async fn update_state(writing: &mut Writing, token: &RefreshToken) -> Result<(), StoreError> {
    let (spent_at, successor, sealed_successor) = columns_of(&token.state);
    let update = sqlx::query(
        "UPDATE refresh_tokens SET spent_at = ?, successor_hash = ?, sealed_successor = ? WHERE secret_hash = ?",
    )
    .bind(spent_at)
    .bind(successor)
    .bind(sealed_successor)
    .bind(bytes(&token.secret));
    writing.execute(update).await.map(|_| ())
}

async fn drop_spent_tokens(
    writing: &mut Writing,
    just_now: &RefreshToken,
    context: &'static str,
) -> Result<(), StoreError> {
    let spent =
        sqlx::query("SELECT spent_at, secret_hash FROM refresh_tokens WHERE session_id = ? AND spent_at IS NOT NULL")
            .bind(just_now.session.as_str());
    let spent = writing.fetch_all(spent).await?;
    let spent = read_all(spent, |row| Ok((row.time("spent_at")?, row.hash("secret_hash")?)), context)?;
    for secret in spent_beyond_limit(spent, &just_now.secret) {
        writing.execute(sqlx::query("DELETE FROM refresh_tokens WHERE secret_hash = ?").bind(bytes(&secret))).await?;
    }
    Ok(())
}

fn columns_of(state: &RefreshState) -> (Option<i64>, Option<&[u8]>, Option<&[u8]>) {
    match state {
        RefreshState::Fresh => (None, None, None),
        RefreshState::Spent { at, successor, sealed_successor } => {
            (Some(at.as_millis()), Some(bytes(successor)), Some(sealed_successor))
        }
    }
}

fn read_refresh_token(row: &SqliteRow) -> Result<RefreshToken, RowError> {
    let state = match row.optional_time("spent_at")? {
        None => RefreshState::Fresh,
        Some(at) => RefreshState::Spent {
            at,
            successor: row.hash("successor_hash")?,
            sealed_successor: row.optional_bytes("sealed_successor")?.ok_or(RowError::Missing("sealed_successor"))?,
        },
    };
    Ok(RefreshToken {
        secret: row.hash("secret_hash")?,
        session: row.id("session_id", SessionId::new)?,
        user: row.id("user_id", UserId::new)?,
        issued_at: row.time("issued_at")?,
        expires_at: row.time("expires_at")?,
        state,
    })
}
