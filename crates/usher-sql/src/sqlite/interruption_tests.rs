//! Each statement of each operation stopped in its midst.
//!
//! To SQLite an interruption is what running out of memory, a full disk and an I/O error are (`isSpecialError` in `sqlite3VdbeHalt`): the
//! transaction is rolled back by itself, or is not, if the statement only read. Unlike those it can be had at any instruction of any
//! statement, reads, `BEGIN` and `COMMIT` included, by means of SQLite's progress handler.
//!
//! One point is left out: SQLite asks the handler once more after a commit is durable, and would then report a commit as interrupted that has
//! happened. No real error can come from there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use async_trait::async_trait;
use sqlx::SqlitePool;
use tempfile::TempDir;
use usher_store::conformance::faults::{FaultyStore, every_statement_fails_once};
use usher_store::{AuditStore, Store};

use super::SqlStore;
use crate::SqlOptions;

const INTERRUPTED: &str = "interrupted";

/// Instructions from one point to the next. Odd, so that the same instruction of a loop is not met each time.
const STRIDE: i64 = 5;

struct InterruptedSqlite {
    _directory: TempDir,
    store: Arc<SqlStore>,
    fault: Arc<Fault>,
}

#[derive(Default)]
struct Fault {
    /// Whether instructions are counted.
    armed: AtomicBool,
    /// Instructions until the one that is stopped.
    countdown: AtomicI64,
    /// Whether it was stopped.
    fired: AtomicBool,
    /// Whether a commit is being written.
    committing: AtomicBool,
}

impl Fault {
    /// Whether the statement may go on.
    fn goes_on(&self) -> bool {
        let committed = self.committing.swap(false, Ordering::Relaxed);
        if committed || !self.armed.load(Ordering::Relaxed) || self.countdown.fetch_sub(1, Ordering::Relaxed) > 0 {
            return true;
        }
        self.fired.swap(true, Ordering::Relaxed)
    }
}

impl InterruptedSqlite {
    async fn new() -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let url = format!("sqlite://{}", directory.path().join("usher.db").display());
        let options = SqlOptions { readers: 1, ..SqlOptions::default() };
        let store = SqlStore::open(&url, options).await.expect("the store opens");
        Self { _directory: directory, store: Arc::new(store), fault: Arc::default() }
    }

    /// The connection is a new one if the one before had to be thrown away, and has no handler then.
    async fn watch(&self, pool: &SqlitePool) {
        let (fault, committing) = (self.fault.clone(), self.fault.clone());
        let mut connection = pool.acquire().await.expect("a connection");
        let mut handle = connection.lock_handle().await.expect("its handle");
        handle.set_progress_handler(1, move || fault.goes_on());
        handle.set_commit_hook(move || {
            committing.committing.store(true, Ordering::Relaxed);
            true
        });
    }
}

#[async_trait]
impl FaultyStore for InterruptedSqlite {
    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    fn audit(&self) -> Arc<dyn AuditStore> {
        self.store.clone()
    }

    async fn break_at(&self, _: &'static str, n: usize) -> bool {
        let fired = self.fault.fired.swap(false, Ordering::Relaxed);
        assert!(n == 0 || fired, "it failed of something else before point {}", n - 1);
        self.watch(self.store.writer.pool()).await;
        self.watch(&self.store.readers).await;
        self.fault.countdown.store(i64::try_from(n).expect("few points") * STRIDE, Ordering::Relaxed);
        self.fault.armed.store(true, Ordering::Relaxed);
        true
    }

    async fn mend(&self) {
        self.fault.armed.store(false, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn of_an_operation_that_stopped_in_its_midst_nothing_stays_and_the_store_works() {
    // req O6
    every_statement_fails_once(INTERRUPTED, InterruptedSqlite::new).await;
}
