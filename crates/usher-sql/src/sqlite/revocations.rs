//! Revocations.

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use usher_auth::UnixTime;
use usher_auth::ids::{ApiKeyId, IssuerName, IssuerSessionId, IssuerSubject, SessionId, TokenId, UserId};
use usher_auth::revocation::{Revocation, RevocationCause, RevocationTarget};
use usher_store::backend::{Removed, RemovedSession, used_later, with_removed};
use usher_store::{RevocationStore, StoreError};

use super::SqlStore;
use super::rows::{Columns, During, RowError, read_all};
use super::writing::Writing;

#[async_trait]
impl RevocationStore for SqlStore {
    async fn revoke(&self, revocation: &Revocation) -> Result<Vec<Revocation>, StoreError> {
        let context = "revoking";
        let mut writing = self.write(context).await?;
        let all = revoke(&mut writing, revocation, context).await?;
        writing.commit().await?;
        Ok(all)
    }

    async fn revocations(&self) -> Result<Vec<Revocation>, StoreError> {
        let context = "listing revocations";
        let rows = sqlx::query(
            "SELECT kind, target_id, issuer, issued_before, except_session, cause, revoked_at, forget_at
             FROM revocations ORDER BY number",
        )
        .fetch_all(self.reader(context)?)
        .await
        .during(context)?;
        read_all(rows, read_revocation, context)
    }

    async fn newest_moment(&self) -> Result<Option<UnixTime>, StoreError> {
        let context = "looking for the newest moment";
        let row = sqlx::query(
            "SELECT max(moment) AS moment FROM (
                 SELECT max(last_seen_at) AS moment FROM sessions
                 UNION ALL SELECT max(max(issued_at, coalesce(spent_at, 0))) FROM refresh_tokens
                 UNION ALL SELECT max(revoked_at) FROM revocations)",
        )
        .fetch_one(self.reader(context)?)
        .await
        .during(context)?;
        row.optional_time("moment").during(context)
    }

    async fn reap_revocations(&self, now: UnixTime) -> Result<u64, StoreError> {
        let context = "removing revocations that no longer matter";
        self.delete(sqlx::query("DELETE FROM revocations WHERE forget_at <= ?").bind(now.as_millis()), context).await
    }
}

/// Remember `revocation` and what it removes, in a transaction; all that is remembered.
pub(super) async fn revoke(
    writing: &mut Writing,
    revocation: &Revocation,
    context: &'static str,
) -> Result<Vec<Revocation>, StoreError> {
    let all = with_removed(revocation, remove_what_ends(writing, revocation, context).await?);
    for one in &all {
        remember(writing, one).await?;
    }
    Ok(all)
}

/// Refresh tokens go with their session.
async fn remove_what_ends(
    writing: &mut Writing,
    revocation: &Revocation,
    context: &'static str,
) -> Result<Removed, StoreError> {
    let mut removed = Removed::default();
    match &revocation.target {
        RevocationTarget::Session(id) => {
            let session = sqlx::query("DELETE FROM sessions WHERE id = ? RETURNING id, last_seen_at").bind(id.as_str());
            removed.sessions = read_all(writing.fetch_all(session).await?, read_removed, context)?;
        }
        RevocationTarget::User { user, .. } if !revocation.cause.ends_sessions() => {
            let later = "DELETE FROM sessions WHERE user_id = ? AND last_seen_at > ? RETURNING id, last_seen_at";
            let later = sqlx::query(later).bind(user.as_str()).bind(used_later(revocation).as_millis());
            removed.sessions = read_all(writing.fetch_all(later).await?, read_removed, context)?;
        }
        RevocationTarget::User { user, except, .. } => {
            if revocation.cause.removes_api_keys() {
                let keys = sqlx::query("DELETE FROM api_keys WHERE user_id = ? RETURNING id").bind(user.as_str());
                removed.api_keys =
                    read_all(writing.fetch_all(keys).await?, |row| row.id("id", ApiKeyId::new), context)?;
            }
            // No id is empty, so that the empty one excepts nothing.
            let sessions = sqlx::query("DELETE FROM sessions WHERE user_id = ? AND id <> ? RETURNING id, last_seen_at")
                .bind(user.as_str())
                .bind(except.as_ref().map_or("", SessionId::as_str));
            removed.sessions = read_all(writing.fetch_all(sessions).await?, read_removed, context)?;
        }
        RevocationTarget::Token(..) | RevocationTarget::IssuerSession(..) | RevocationTarget::IssuerSubject { .. } => {}
        RevocationTarget::ApiKey(id) => {
            writing.execute(sqlx::query("DELETE FROM api_keys WHERE id = ?").bind(id.as_str())).await?;
        }
    }
    // What is returned from a deletion has no order.
    removed.sessions.sort();
    removed.api_keys.sort();
    Ok(removed)
}

fn read_removed(row: &SqliteRow) -> Result<RemovedSession, RowError> {
    Ok(RemovedSession { id: row.id("id", SessionId::new)?, last_seen_at: row.time("last_seen_at")? })
}

async fn remember(writing: &mut Writing, revocation: &Revocation) -> Result<(), StoreError> {
    let columns = TargetColumns::of(&revocation.target);
    let insert = sqlx::query(
        "INSERT INTO revocations
             (kind, target_id, issuer, issued_before, except_session, cause, revoked_at, forget_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET
             forget_at = max(forget_at, excluded.forget_at),
             issued_before = max(issued_before, excluded.issued_before),
             except_session = excluded.except_session",
    )
    .bind(columns.kind)
    .bind(columns.id)
    .bind(columns.issuer)
    .bind(columns.issued_before)
    .bind(columns.except)
    .bind(revocation.cause.as_str())
    .bind(revocation.at.as_millis())
    .bind(revocation.forget_at.as_millis());
    writing.execute(insert).await.map(|_| ())
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
            RevocationTarget::IssuerSession(issuer, session) => {
                Self { issuer: Some(issuer.as_str()), ..plain("issuer_session", session.as_str()) }
            }
            RevocationTarget::IssuerSubject { issuer, subject, issued_before } => Self {
                issuer: Some(issuer.as_str()),
                issued_before: Some(issued_before.as_millis()),
                ..plain("issuer_subject", subject.as_str())
            },
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
        "issuer_session" => RevocationTarget::IssuerSession(
            row.id("issuer", IssuerName::new)?,
            row.id("target_id", IssuerSessionId::new)?,
        ),
        "issuer_subject" => RevocationTarget::IssuerSubject {
            issuer: row.id("issuer", IssuerName::new)?,
            subject: row.id("target_id", IssuerSubject::new)?,
            issued_before: row.time("issued_before")?,
        },
        _ => return Err(RowError::Word("kind")),
    };
    let cause = RevocationCause::from_name(&row.text("cause")?).ok_or(RowError::Word("cause"))?;
    Ok(Revocation { target, cause, at: row.time("revoked_at")?, forget_at: row.time("forget_at")? })
}
