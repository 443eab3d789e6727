//! The store in an SQLite file.

use std::path::PathBuf;

use async_trait::async_trait;
use sqlx::{Sqlite, SqlitePool, Transaction};
use usher_store::{Store, StoreError};

use self::file::FileIdentity;
use self::rows::During as _;

mod file;
mod open;
mod peek;
mod schema;

mod api_keys;
mod audit;
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
    writer: SqlitePool,
    /// These only read, and writing does not stop them.
    readers: SqlitePool,
}

impl SqlStore {
    /// Finish what is under way and close the file. Later calls fail.
    pub async fn close(&self) {
        self.readers.close().await;
        // The last connection to close moves the write-ahead log into the file, which a reader cannot.
        self.writer.close().await;
    }

    fn reader(&self, context: &'static str) -> Result<&SqlitePool, StoreError> {
        self.identity.check(&self.path).during(context)?;
        Ok(&self.readers)
    }

    /// For a single statement, which is a transaction by itself.
    fn writer(&self, context: &'static str) -> Result<&SqlitePool, StoreError> {
        self.identity.check(&self.path).during(context)?;
        Ok(&self.writer)
    }

    /// For several statements. The lock is taken at once: a transaction that has read before it writes would fail, not wait, if
    /// another process wrote in between.
    async fn begin(&self, context: &'static str) -> Result<Transaction<'static, Sqlite>, StoreError> {
        self.writer(context)?.begin_with("BEGIN IMMEDIATE").await.during(context)
    }
}

#[async_trait]
impl Store for SqlStore {
    async fn check(&self) -> Result<(), StoreError> {
        let context = "checking that it can be read and written";
        let reader = self.reader(context)?;
        sqlx::query("SELECT count(*) FROM (SELECT 1 FROM users LIMIT 1)").fetch_one(reader).await.during(context)?;
        // Nothing is written, so that asking often wears out no disk; but the lock to write must be had.
        self.begin(context).await?.rollback().await.during(context)
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
        assert_eq!(pragmas(&store.writer).await, ("wal".to_owned(), 2, 1, 5000, 0));
        assert_eq!(pragmas(&store.readers).await, ("wal".to_owned(), 2, 1, 5000, 1));
        sqlx::query("DELETE FROM users").execute(&store.readers).await.expect_err("it only reads");
    }
}
