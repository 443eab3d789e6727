//! Revocations.

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{Sqlite, Transaction};
use usher_auth::UnixTime;
use usher_auth::ids::{ApiKeyId, IssuerName, SessionId, TokenId, UserId};
use usher_auth::revocation::{Revocation, RevocationCause, RevocationTarget};
use usher_store::backend::with_removed_sessions;
use usher_store::{RevocationStore, StoreError};

use super::SqlStore;
use super::rows::{Columns, During, RowError, read_all};

const REVOKING: &str = "revoking";

#[async_trait]
impl RevocationStore for SqlStore {
    async fn revoke(&self, revocation: &Revocation) -> Result<Vec<Revocation>, StoreError> {
        let mut transaction = self.begin(REVOKING).await?;
        let removed = remove_what_ends(&mut transaction, revocation).await?;
        let all = with_removed_sessions(revocation, removed);
        for one in &all {
            remember(&mut transaction, one).await?;
        }
        transaction.commit().await.during(REVOKING)?;
        Ok(all)
    }

    async fn lift_revocations(&self, user: &UserId, cause: RevocationCause) -> Result<u64, StoreError> {
        let context = "lifting a user's revocations";
        let deleted = sqlx::query("DELETE FROM revocations WHERE kind = 'user' AND target_id = ? AND cause = ?")
            .bind(user.as_str())
            .bind(cause.as_str())
            .execute(self.writer(context)?)
            .await
            .during(context)?;
        Ok(deleted.rows_affected())
    }

    async fn revocations(&self, now: UnixTime) -> Result<Vec<Revocation>, StoreError> {
        let context = "listing revocations";
        let rows = sqlx::query(
            "SELECT kind, target_id, issuer, issued_before, except_session, cause, revoked_at, forget_at
             FROM revocations WHERE forget_at > ? ORDER BY number",
        )
        .bind(now.as_millis())
        .fetch_all(self.reader(context)?)
        .await
        .during(context)?;
        read_all(rows, read_revocation, context)
    }

    async fn reap_revocations(&self, now: UnixTime) -> Result<u64, StoreError> {
        let context = "removing revocations that no longer matter";
        let deleted = sqlx::query("DELETE FROM revocations WHERE forget_at <= ?")
            .bind(now.as_millis())
            .execute(self.writer(context)?)
            .await
            .during(context)?;
        Ok(deleted.rows_affected())
    }
}

/// Remove what `revocation` ends; the sessions removed, in order. Refresh tokens go with their session.
async fn remove_what_ends(
    transaction: &mut Transaction<'_, Sqlite>,
    revocation: &Revocation,
) -> Result<Vec<SessionId>, StoreError> {
    match &revocation.target {
        RevocationTarget::Session(id) => {
            let delete = sqlx::query("DELETE FROM sessions WHERE id = ?").bind(id.as_str());
            delete.execute(&mut **transaction).await.during(REVOKING)?;
            Ok(vec![id.clone()])
        }
        RevocationTarget::User { .. } if !revocation.cause.ends_sessions() => Ok(Vec::new()),
        RevocationTarget::User { user, issued_before, except } => {
            if revocation.cause == RevocationCause::UserDeleted {
                let delete = sqlx::query("DELETE FROM api_keys WHERE user_id = ? AND created_at < ?");
                let delete = delete.bind(user.as_str()).bind(issued_before.as_millis());
                delete.execute(&mut **transaction).await.during(REVOKING)?;
            }
            // No id is empty, so that the empty one excepts nothing.
            let rows =
                sqlx::query("DELETE FROM sessions WHERE user_id = ? AND created_at < ? AND id <> ? RETURNING id")
                    .bind(user.as_str())
                    .bind(issued_before.as_millis())
                    .bind(except.as_ref().map_or("", SessionId::as_str))
                    .fetch_all(&mut **transaction)
                    .await
                    .during(REVOKING)?;
            let mut removed = read_all(rows, |row| row.id("id", SessionId::new), REVOKING)?;
            // What is returned from a deletion has no order.
            removed.sort();
            Ok(removed)
        }
        RevocationTarget::Token(..) => Ok(Vec::new()),
        RevocationTarget::ApiKey(id) => {
            let delete = sqlx::query("DELETE FROM api_keys WHERE id = ?").bind(id.as_str());
            delete.execute(&mut **transaction).await.during(REVOKING)?;
            Ok(Vec::new())
        }
    }
}

async fn remember(transaction: &mut Transaction<'_, Sqlite>, revocation: &Revocation) -> Result<(), StoreError> {
    let columns = TargetColumns::of(&revocation.target);
    sqlx::query(
        "INSERT INTO revocations
             (kind, target_id, issuer, issued_before, except_session, cause, revoked_at, forget_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET forget_at = max(forget_at, excluded.forget_at)",
    )
    .bind(columns.kind)
    .bind(columns.id)
    .bind(columns.issuer)
    .bind(columns.issued_before)
    .bind(columns.except)
    .bind(revocation.cause.as_str())
    .bind(revocation.at.as_millis())
    .bind(revocation.forget_at.as_millis())
    .execute(&mut **transaction)
    .await
    .during(REVOKING)?;
    Ok(())
}

/// A target as the table has it.
struct TargetColumns<'a> {
    kind: &'static str,
    id: &'a str,
    issuer: Option<&'a str>,
    issued_before: Option<i64>,
    except: Option<&'a str>,
}

impl<'a> TargetColumns<'a> {
    fn of(target: &'a RevocationTarget) -> Self {
        let plain = |kind, id| Self { kind, id, issuer: None, issued_before: None, except: None };
        match target {
            RevocationTarget::Session(id) => plain("session", id.as_str()),
            RevocationTarget::User { user, issued_before, except } => Self {
                issued_before: Some(issued_before.as_millis()),
                except: except.as_ref().map(SessionId::as_str),
                ..plain("user", user.as_str())
            },
            RevocationTarget::Token(issuer, id) => {
                Self { issuer: issuer.as_ref().map(IssuerName::as_str), ..plain("token", id.as_str()) }
            }
            RevocationTarget::ApiKey(id) => plain("api_key", id.as_str()),
        }
    }
}

fn read_revocation(row: &SqliteRow) -> Result<Revocation, RowError> {
    let target = match &*row.text("kind")? {
        "session" => RevocationTarget::Session(row.id("target_id", SessionId::new)?),
        "user" => RevocationTarget::User {
            user: row.id("target_id", UserId::new)?,
            issued_before: row.time("issued_before")?,
            except: row.optional_id("except_session", SessionId::new)?,
        },
        "token" => {
            RevocationTarget::Token(row.optional_id("issuer", IssuerName::new)?, row.id("target_id", TokenId::new)?)
        }
        "api_key" => RevocationTarget::ApiKey(row.id("target_id", ApiKeyId::new)?),
        _ => return Err(RowError::Word("kind")),
    };
    let cause = RevocationCause::from_name(&row.text("cause")?).ok_or(RowError::Word("cause"))?;
    Ok(Revocation { target, cause, at: row.time("revoked_at")?, forget_at: row.time("forget_at")? })
}
