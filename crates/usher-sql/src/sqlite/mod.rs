//! The store in an SQLite file.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use sqlx::{Execute, Sqlite, SqlitePool};
use usher_store::{Store, StoreError};

use self::backup::Copies;
use self::file::FileIdentity;
use self::rows::During as _;
use self::writing::{Writer, Writing};

pub use self::backup::{BackUpError, partial_of};

mod connecting;
mod file;
mod open;
mod peek;
mod result_codes;
mod schema;
mod writing;

mod backup;
#[cfg(test)]
mod interruption_tests;

mod api_keys;
mod audit;
mod known_addresses;
mod refresh_tokens;
mod revocations;
mod rows;
mod sessions;
mod users;

/// Everything durable, in one SQLite file. A cheap handle.
///
/// Other processes may have the same file open: the command line beside the server.
#[derive(Clone, Debug)]
pub struct SqlStore {
    path: PathBuf,
    /// The file that was opened; another one in its place is noticed.
    identity: FileIdentity,
    /// One connection: writers of this process queue here, fairly, and not inside SQLite, where they would poll.
    writer: Arc<Writer>,
    /// These only read, and writing does not stop them.
    readers: SqlitePool,
    /// Stopped before the file is closed: each has it open.
    copies: Copies,
}

impl SqlStore {
    /// Stop the copies that are being made, finish what else is under way and close the file, which then holds everything: no write-ahead log is left beside it. Later calls
    /// fail.
    pub async fn close(&self) {
        self.copies.stop().await;
        self.readers.close().await;
        // The last connection to close moves the write-ahead log into the file, which a reader cannot.
        self.writer.pool().close().await;
    }

    /// Whether any session is in it.
    pub async fn has_sessions(&self) -> Result<bool, StoreError> {
        let context = "looking for sessions";
        let there = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM sessions)");
        there.fetch_one(self.reader(context)?).await.during(context)
    }

    fn reader(&self, context: &'static str) -> Result<&SqlitePool, StoreError> {
        self.identity.check(&self.path).during(context)?;
        Ok(&self.readers)
    }

    /// A transaction that writes: every operation is one.
    async fn write(&self, context: &'static str) -> Result<Writing, StoreError> {
        self.identity.check(&self.path).during(context)?;
        Writing::begin(&self.writer, context).await
    }

    /// Carry out one deletion; how many rows it removed.
    async fn delete<'q>(
        &self,
        delete: impl Execute<'q, Sqlite> + 'q,
        context: &'static str,
    ) -> Result<u64, StoreError> {
        let mut writing = self.write(context).await?;
        let deleted = writing.execute(delete).await?;
        writing.commit().await?;
        Ok(deleted.rows_affected())
    }
}

/// Writing fails at the moment.
#[derive(Debug, thiserror::Error)]
#[error("it cannot be written: {0}")]
struct Trouble(String);

#[async_trait]
impl Store for SqlStore {
    async fn check(&self) -> Result<(), StoreError> {
        let context = "checking that it can be read and written";
        let reader = self.reader(context)?;
        sqlx::query("SELECT count(*) FROM (SELECT 1 FROM users LIMIT 1)").fetch_one(reader).await.during(context)?;
        // Nothing is written here, and no lock is waited for: another process that writes for long makes nothing unready.
        self.writer.trouble().map_or(Ok(()), |trouble| Err(Trouble(trouble)).during(context))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SqlOptions;

    async fn pragmas(pool: &SqlitePool) -> (String, i64, i64, i64, i64) {
        sqlx::query_as(
            "SELECT (SELECT journal_mode FROM pragma_journal_mode), (SELECT synchronous FROM pragma_synchronous),
                    (SELECT foreign_keys FROM pragma_foreign_keys), (SELECT timeout FROM pragma_busy_timeout),
                    (SELECT query_only FROM pragma_query_only)",
        )
        .fetch_one(pool)
        .await
        .expect("the pragmas can be asked for")
    }

    #[tokio::test]
    async fn writing_is_durable_and_readers_cannot_write() {
        let directory = tempfile::TempDir::new().expect("a temporary directory");
        let url = format!("sqlite://{}", directory.path().join("usher.db").display());
        let store = SqlStore::open(&url, SqlOptions::default()).await.expect("a new store");
        // 2 is FULL: every commit is synced (req H3).
        assert_eq!(pragmas(store.writer.pool()).await, ("wal".to_owned(), 2, 1, 5000, 0));
        assert_eq!(pragmas(&store.readers).await, ("wal".to_owned(), 2, 1, 5000, 1));
        sqlx::query("DELETE FROM users").execute(&store.readers).await.expect_err("it only reads");
    }
}
