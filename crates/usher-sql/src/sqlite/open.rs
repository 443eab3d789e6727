//! Opening: from a URL to connections on a file that is ours and up to date.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous};

use super::SqlStore;
use super::backup::Copies;
use super::file::{self, FileIdentity};
use super::schema;
use super::writing::Writer;
use crate::{OpenError, SqlOptions};

/// How long a call waits for a connection of this process before it fails. Longer than the wait for another process's lock, so
/// that whoever queues behind a waiting writer still gets its turn or that one's error.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long to wait before trying again to switch the write-ahead log on.
const SWITCH_AGAIN: Duration = Duration::from_millis(20);

/// SQLite's primary result code for a lock that another connection holds.
const SQLITE_BUSY: i32 = 5;
/// For a file that is damaged, and for one that is no database.
const SQLITE_CORRUPT: i32 = 11;
const SQLITE_NOTADB: i32 = 26;

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

pub(super) fn path_of(url: &str) -> Result<PathBuf, OpenError> {
    let wrong = |problem| OpenError::Url { url: url.to_owned(), problem };
    let Some((scheme, rest)) = url.split_once(':') else { return Err(wrong("has no scheme")) };
    if !scheme.eq_ignore_ascii_case("sqlite") {
        return Err(OpenError::Scheme { scheme: scheme.to_owned() });
    }
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    if rest.is_empty() {
        return Err(wrong("names no file"));
    }
    if rest.contains(":memory:") {
        return Err(wrong("names no file: what is in memory is forgotten"));
    }
    if rest.contains('?') {
        return Err(wrong("has parameters, of which there are none"));
    }
    let parsed: SqliteConnectOptions =
        format!("sqlite://{rest}").parse().map_err(|_| wrong("is not correctly percent-encoded"))?;
    // Absolute, so that a change of directory leads to no other file, and so that SQLite, which would take a relative name that begins
    // with "file:" for a URL, takes it for a path.
    std::path::absolute(parsed.get_filename()).map_err(|_| wrong("is not a path"))
}

pub(super) fn connection(path: &Path, options: SqlOptions) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .foreign_keys(true)
        .busy_timeout(options.busy_timeout)
        // With the write-ahead log SQLite syncs it at every commit only under FULL. Under NORMAL a power failure would undo the last
        // commits, and a revocation that was acknowledged must hold after it (req H3); what FULL costs is one sync a write.
        .synchronous(SqliteSynchronous::Full)
        // A plain sync on macOS leaves the data in the drive's cache. Elsewhere this does nothing.
        .pragma("fullfsync", "ON")
        .pragma("checkpoint_fullfsync", "ON")
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

/// What SQLite said, as advice.
pub(super) fn failure(path: &Path, source: sqlx::Error) -> OpenError {
    let path = path.to_owned();
    match primary_code(&source) {
        Some(SQLITE_BUSY) => OpenError::Locked { path, source },
        Some(SQLITE_CORRUPT | SQLITE_NOTADB) => OpenError::NotADatabase { path, source },
        _ => OpenError::Open { path, source },
    }
}

/// SQLite's primary result code; sqlx gives the extended one, which holds it in its low byte.
pub(super) fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let code: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
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
