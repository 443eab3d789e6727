//! The store in an SQLite file.

use std::path::PathBuf;

use async_trait::async_trait;
use sqlx::{Sqlite, SqlitePool, Transaction};
use usher_store::{Store, StoreError};

use self::file::FileIdentity;
use self::rows::During as _;

mod file;
mod open;
mod schema;

mod api_keys;
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
