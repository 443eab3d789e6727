//! Opening: from a URL to connections on a file that is ours and up to date.

use std::path::Path;
use std::time::Duration;

use sqlx::SqlitePool;
use sqlx::sqlite::SqlitePoolOptions;

use super::SqlStore;
use super::backup::Copies;
use super::connecting::{connection, path_of};
use super::file::{self, FileIdentity};
use super::result_codes::{SQLITE_BUSY, failure, primary_code};
use super::schema;
use super::writing::Writer;
use crate::{OpenError, SqlOptions};

/// How long a call waits for a connection of this process before it fails. Longer than the wait for another process's lock, so
/// that whoever queues behind a waiting writer still gets its turn or that one's error.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long to wait before trying again to switch the write-ahead log on.
const SWITCH_AGAIN: Duration = Duration::from_millis(20);

impl SqlStore {
    /// Open the store at `url` (`sqlite://` and a path), make the file if it is not there (mode 0600), and bring its schema up to
    /// date.
    pub async fn open(url: &str, options: SqlOptions) -> Result<Self, OpenError> {
        let path = path_of(url)?;
        file::create(&path).map_err(|source| OpenError::Create { path: path.clone(), source })?;
        let failed = |source| failure(&path, source);
        let identity = FileIdentity::of(&path).map_err(|error| failed(error.into()))?;

        let connection = connection(&path, options);
        let pool = SqlitePoolOptions::new().acquire_timeout(ACQUIRE_TIMEOUT).idle_timeout(None).max_lifetime(None);
        // Waiting for the one connection that writes is no news: without this, each call that waits for 2 s would log a line.
        let pool = pool.acquire_slow_threshold(Duration::MAX);
        let writer = pool.clone().max_connections(1).connect_with(connection.clone()).await.map_err(failed)?;
        prepare(&writer, &path, options).await?;

        // Whatever is sent to a reader cannot change anything.
        let reading = connection.pragma("query_only", "ON");
        let readers = pool.max_connections(options.readers.max(1)).connect_with(reading).await.map_err(failed)?;
        Ok(Self { path, identity, writer: Writer::new(writer), readers, copies: Copies::default() })
    }

    /// Bring the schema up to date; its version. Opening does this already: here it is for whoever wants to know.
    pub async fn migrate(&self) -> Result<i64, OpenError> {
        schema::migrate(self.writer.pool(), &self.path).await
    }
}

/// Everything that is done to the file before it is used. Nothing is done to one that is not ours.
async fn prepare(writer: &SqlitePool, path: &Path, options: SqlOptions) -> Result<(), OpenError> {
    if !schema::is_ours_or_empty(writer).await.map_err(|source| failure(path, source))? {
        return Err(OpenError::Foreign { path: path.to_owned() });
    }
    let mode = switch_write_ahead_log_on(writer, options).await.map_err(|source| failure(path, source))?;
    if mode != "wal" {
        return Err(OpenError::WriteAheadLog { path: path.to_owned() });
    }
    schema::migrate(writer, path).await.map(|_| ())
}

/// The log mode is kept in the file, so this changes it once in its life. Two processes that open a new file together may each hold
/// what the other needs: SQLite refuses at once in place of waiting, so the waiting is done here.
async fn switch_write_ahead_log_on(writer: &SqlitePool, options: SqlOptions) -> Result<String, sqlx::Error> {
    let mut waited = Duration::ZERO;
    loop {
        match sqlx::query_scalar("PRAGMA journal_mode = WAL").fetch_one(writer).await {
            Err(error) if primary_code(&error) == Some(SQLITE_BUSY) && waited < options.busy_timeout => {
                tokio::time::sleep(SWITCH_AGAIN).await;
                waited += SWITCH_AGAIN;
            }
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_can_be_opened_on_any_thread() {
        // A server opens its store in a task, which may move between threads.
        fn assert_send(_: impl Send) {}
        assert_send(SqlStore::open("sqlite://unused.db", SqlOptions::default()));
    }
}
