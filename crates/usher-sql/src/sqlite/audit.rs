//! The audit trail.

use async_trait::async_trait;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;
use usher_auth::UnixTime;
use usher_store::{AuditEntry, AuditStore, ChainHead, StoreError};

use super::SqlStore;
use super::rows::{Columns, During, RowError, read_all, read_one};

const APPENDING: &str = "appending to the audit trail";

#[async_trait]
impl AuditStore for SqlStore {
    async fn append_audit(&self, chain: &str, head: &ChainHead, entries: &[AuditEntry]) -> Result<(), StoreError> {
        let mut writing = self.write(APPENDING).await?;
        for entry in entries {
            let insert = sqlx::query("INSERT INTO audit_records (number, happened_at, line) VALUES (?, ?, ?)")
                .bind(stored(entry.number, APPENDING)?)
                .bind(entry.at.as_millis())
                .bind(&entry.line);
            writing.execute(insert).await?;
        }
        let move_head = sqlx::query(
            "INSERT INTO audit_chains (name, number, mac) VALUES (?, ?, ?)
             ON CONFLICT DO UPDATE SET number = excluded.number, mac = excluded.mac",
        )
        .bind(chain)
        .bind(stored(head.number, APPENDING)?)
        .bind(&head.mac[..]);
        writing.execute(move_head).await?;
        writing.commit().await
    }

    async fn audit_head(&self, chain: &str) -> Result<Option<ChainHead>, StoreError> {
        let context = "looking up the head of an audit chain";
        let row = sqlx::query("SELECT number, mac FROM audit_chains WHERE name = ?")
            .bind(chain)
            .fetch_optional(self.reader(context)?)
            .await
            .during(context)?;
        read_one(row, read_head, context)
    }

    async fn audit_entries(&self, after: u64, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        let context = "reading the audit trail";
        let rows =
            sqlx::query("SELECT number, happened_at, line FROM audit_records WHERE number > ? ORDER BY number LIMIT ?")
                .bind(stored(after, context)?)
                .bind(limit)
                .fetch_all(self.reader(context)?)
                .await
                .during(context)?;
        read_all(rows, read_entry, context)
    }

    async fn reap_audit(&self, before: UnixTime, now: UnixTime) -> Result<u64, StoreError> {
        // The first record that is neither old nor ahead is near the beginning: it is looked for by number (`+` keeps the index on the time out).
        let delete = sqlx::query(
            "DELETE FROM audit_records WHERE number <= (
                 SELECT max(number) FROM audit_records WHERE happened_at < ?1 AND number < coalesce(
                     (SELECT number FROM audit_records WHERE +happened_at BETWEEN ?1 AND ?2 ORDER BY number LIMIT 1),
                     ?3))",
        );
        let delete = delete.bind(before.as_millis()).bind(now.as_millis()).bind(i64::MAX);
        self.delete(delete, "removing old audit records").await
    }
}

/// A number as SQLite keeps it: one that it cannot hold is never reached by counting.
fn stored(number: u64, context: &'static str) -> Result<i64, StoreError> {
    i64::try_from(number).during(context)
}

fn number(row: &SqliteRow) -> Result<u64, RowError> {
    u64::try_from(row.try_get::<i64, _>("number")?).map_err(|_| RowError::Word("number"))
}

fn read_entry(row: &SqliteRow) -> Result<AuditEntry, RowError> {
    Ok(AuditEntry { number: number(row)?, at: row.time("happened_at")?, line: row.text("line")? })
}

fn read_head(row: &SqliteRow) -> Result<ChainHead, RowError> {
    let mac = row.optional_bytes("mac")?.ok_or(RowError::Missing("mac"))?;
    Ok(ChainHead { number: number(row)?, mac: mac.try_into().map_err(|_| RowError::Hash("mac"))? })
}
