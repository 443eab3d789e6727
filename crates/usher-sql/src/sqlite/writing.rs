//! Writing: one transaction an operation, and a connection that is as good as new after whatever failed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteQueryResult, SqliteRow};
use sqlx::{Execute, Executor, Sqlite, SqliteConnection, SqlitePool};
use usher_store::StoreError;

use super::result_codes::primary_code;
use super::rows::During as _;

/// SQLite's primary result code for a statement that breaks a rule of the schema: the caller's fault and not the store's.
const SQLITE_CONSTRAINT: i32 = 19;

/// How long after a failed write it is tried whether writing works again.
const PROBE_AGAIN: Duration = Duration::from_millis(250);

/// A transaction on the one connection that writes.
///
/// After some errors (disk full, I/O, out of memory, interrupted) SQLite has rolled the transaction back by itself, after others it
/// has not, and a call that its caller gives up may be anywhere in between. So a connection whose transaction was neither committed nor
/// rolled back is closed, which rolls back whatever there is, and the pool opens another in its place.
pub(super) struct Writing {
    connection: PoolConnection<Sqlite>,
    writer: Arc<Writer>,
    context: &'static str,
    /// Whether the connection is outside any transaction, and so may be used again.
    finished: bool,
}

impl Writing {
    /// Begin. The lock is taken at once: a transaction that has read before it writes would fail, not wait, if another process
    /// wrote in between.
    pub(super) async fn begin(writer: &Arc<Writer>, context: &'static str) -> Result<Self, StoreError> {
        let finished = writer.finished.load(Ordering::Relaxed);
        let acquired = writer.pool.acquire().await;
        let connection = acquired.inspect_err(|error| writer.note_unless_busy(error, finished)).during(context)?;
        let mut writing = Self { connection, writer: writer.clone(), context, finished: false };
        writing.execute(sqlx::query("BEGIN IMMEDIATE")).await?;
        Ok(writing)
    }

    /// Carry out a statement that returns no rows.
    pub(super) async fn execute<'q>(
        &mut self,
        query: impl Execute<'q, Sqlite> + 'q,
    ) -> Result<SqliteQueryResult, StoreError> {
        let result = (&mut *self.connection).execute(query).await;
        self.noted(result)
    }

    /// Carry out a statement that returns rows.
    pub(super) async fn fetch_all<'q>(
        &mut self,
        query: impl Execute<'q, Sqlite> + 'q,
    ) -> Result<Vec<SqliteRow>, StoreError> {
        let result = (&mut *self.connection).fetch_all(query).await;
        self.noted(result)
    }

    /// For reading what was written in this transaction and before.
    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }

    /// Make it durable. An error means that it is not, unless the power fails before anything else is written.
    pub(super) async fn commit(mut self) -> Result<(), StoreError> {
        self.execute(sqlx::query("COMMIT")).await?;
        self.finished = true;
        self.writer.works();
        Ok(())
    }

    /// Undo it.
    pub(super) async fn roll_back(mut self) -> Result<(), StoreError> {
        self.execute(sqlx::query("ROLLBACK")).await?;
        self.finished = true;
        Ok(())
    }

    fn noted<T>(&self, result: Result<T, sqlx::Error>) -> Result<T, StoreError> {
        result.inspect_err(|error| self.writer.note(error)).during(self.context)
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.writer.finished.fetch_add(1, Ordering::Relaxed);
        if !self.finished {
            self.connection.close_on_drop();
        }
    }
}

/// The one connection that writes, and whether writing works as far as is known: from the last write, and once that has failed from one
/// that is tried now and then. So the question whether the store works needs no lock.
#[derive(Debug)]
pub(super) struct Writer {
    pool: SqlitePool,
    /// What the last write failed of.
    trouble: Mutex<Option<String>>,
    /// Counts transactions that have ended, well or not.
    finished: AtomicU64,
}

impl Writer {
    /// Of a pool with one connection.
    pub(super) fn new(pool: SqlitePool) -> Arc<Self> {
        Arc::new(Self { pool, trouble: Mutex::default(), finished: AtomicU64::new(0) })
    }

    /// The pool.
    pub(super) fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// What the last write failed of, if it failed.
    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble.lock().clone()
    }

    fn works(&self) {
        *self.trouble.lock() = None;
    }

    /// The same for a write that did not get the connection, and waited from when `finished` transactions had ended. If others have ended
    /// meanwhile, nothing is wrong with the store: it is busy. If none has, the one before it hangs.
    fn note_unless_busy(self: &Arc<Self>, error: &sqlx::Error, finished: u64) {
        let busy = self.finished.load(Ordering::Relaxed) != finished;
        if !(matches!(error, sqlx::Error::PoolTimedOut) && busy) {
            self.note(error);
        }
    }

    /// Notes what a write failed of, unless it was its caller's fault. From then on it is tried whether writing works again.
    fn note(self: &Arc<Self>, error: &sqlx::Error) {
        if primary_code(error) == Some(SQLITE_CONSTRAINT) || matches!(error, sqlx::Error::PoolClosed) {
            return;
        }
        let earlier = self.trouble.lock().replace(error.to_string());
        if earlier.is_none() {
            tracing::error!(%error, "the store cannot be written; it is tried again until it can");
            tokio::spawn(probe(Arc::downgrade(self)));
        }
    }

    async fn try_to_write(self: &Arc<Self>) -> Result<(), StoreError> {
        let mut writing = Writing::begin(self, "trying whether the store can be written").await?;
        let write = "INSERT INTO write_probe (id, probes) VALUES (1, 1) ON CONFLICT DO UPDATE SET probes = probes + 1";
        writing.execute(sqlx::query(write)).await?;
        writing.commit().await
    }
}

/// Tries to write until that works, or the store is closed.
async fn probe(writer: Weak<Writer>) {
    loop {
        tokio::time::sleep(PROBE_AGAIN).await;
        let Some(writer) = writer.upgrade() else { return };
        if writer.pool.is_closed() || writer.trouble().is_none() {
            return;
        }
        if writer.try_to_write().await.is_ok() {
            tracing::info!("the store can be written again");
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use usher_store::Store as _;

    use super::*;
    use crate::{SqlOptions, SqlStore};

    #[tokio::test]
    async fn waiting_in_vain_for_other_writers_of_this_process_is_no_trouble_of_the_store() {
        // req O6: else a crowd of writes of one account would make the server unready.
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}", folder.path().join("usher.db").display());
        let store = SqlStore::open(&url, SqlOptions::default()).await.expect("a new store");
        let held = Writing::begin(&store.writer, "holding the connection").await.expect("a connection");
        tokio::time::pause();
        let mut waiting = std::pin::pin!(Writing::begin(&store.writer, "waiting"));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(waiting.as_mut().poll(&mut context).is_pending(), "the connection is held");
        // Another one had its turn meanwhile.
        store.writer.finished.fetch_add(1, Ordering::Relaxed);
        assert!(waiting.await.is_err(), "it waits for no longer than a bound");
        assert_eq!(store.writer.trouble(), None);
        // None had: the disk hangs.
        assert!(Writing::begin(&store.writer, "waiting").await.is_err());
        tokio::time::resume();
        assert!(store.writer.trouble().is_some(), "what holds the connection for so long is stuck");
        held.roll_back().await.expect("it works");
        while store.check().await.is_err() {
            tokio::task::yield_now().await;
        }
    }
}
