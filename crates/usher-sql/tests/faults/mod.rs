//! What SQLite's ways of failing leave behind: nothing of the operation, and a store that works.

use std::sync::Arc;
use std::time::Duration;

use crate::common::{self, Place, url_of};
use async_trait::async_trait;
use parking_lot::Mutex;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection as _};
use usher_auth::revocation::RevocationCause;
use usher_sql::{SqlOptions, SqlStore};
use usher_store::conformance::faults::{FaultyStore, every_write_fails_once};
use usher_store::conformance::fixtures::{at, revocation, secret, session, session_target};
use usher_store::{AuditStore, RefreshTokenStore as _, RevocationStore as _, SessionStore as _, Store};

const TABLES: [&str; 9] = [
    "users",
    "sessions",
    "refresh_tokens",
    "api_keys",
    "revocations",
    "banned_users",
    "known_addresses",
    "audit_records",
    "audit_chains",
];

/// SQLite has rolled the transaction back by itself: as when the disk is full or fails, or when memory runs out.
const ROLLED_BACK: &str = "rolled back";
/// The statement failed, and the transaction is still there.
const STILL_OPEN: &str = "still open";
/// The commit failed, and the transaction is still there: as when the commit finds the file locked.
const AT_COMMIT: &str = "at the commit";
/// Another process holds the lock for too long.
const LOCKED: &str = "locked";

struct FaultySqlite {
    place: Place,
    store: Arc<SqlStore>,
    lock: Mutex<Option<SqliteConnection>>,
}

impl FaultySqlite {
    async fn new() -> Self {
        let place = Place::new();
        let options = SqlOptions { busy_timeout: Duration::from_millis(50), ..SqlOptions::default() };
        let store = SqlStore::open(&url_of(&place.file), options).await.expect("the store opens");
        Self { place, store: Arc::new(store), lock: Mutex::new(None) }
    }

    /// Triggers before each change of each row; what they do is `action`.
    async fn add_triggers(&self, setup: String, action: &str) {
        let mut statements = setup;
        for table in TABLES {
            for change in ["INSERT", "UPDATE", "DELETE"] {
                let name = format!("fault_{table}_{change}");
                statements += &format!("CREATE TRIGGER {name} BEFORE {change} ON {table} BEGIN {action} END;");
            }
        }
        self.meddle(statements).await;
    }

    async fn meddle(&self, statements: String) {
        let mut connection = self.place.connect().await;
        sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut connection).await.expect("the statements run");
        connection.close().await.expect("the connection closes");
    }

    async fn fail_at_row(&self, n: usize, how: &str) {
        let setup = format!("CREATE TABLE fault (countdown INTEGER); INSERT INTO fault VALUES ({n});");
        let action = format!(
            "UPDATE fault SET countdown = countdown - 1;
             SELECT RAISE({how}, 'injected') FROM fault WHERE countdown < 0;"
        );
        self.add_triggers(setup, &action).await;
    }
}

#[async_trait]
impl FaultyStore for FaultySqlite {
    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    fn audit(&self) -> Arc<dyn AuditStore> {
        self.store.clone()
    }

    async fn break_at(&self, fault: &'static str, n: usize) -> bool {
        match fault {
            ROLLED_BACK => self.fail_at_row(n, "ROLLBACK").await,
            STILL_OPEN => self.fail_at_row(n, "ABORT").await,
            _ if n > 0 => return false,
            AT_COMMIT => {
                let setup = "CREATE TABLE fault (id INTEGER PRIMARY KEY);
                             CREATE TABLE fault_child (parent INTEGER REFERENCES fault (id) DEFERRABLE INITIALLY DEFERRED);";
                self.add_triggers(setup.to_owned(), "INSERT INTO fault_child VALUES (1);").await;
            }
            _ => {
                let mut lock = self.place.connect().await;
                sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut lock).await.expect("the lock is free");
                *self.lock.lock() = Some(lock);
            }
        }
        true
    }

    async fn mend(&self) {
        let lock = self.lock.lock().take();
        if let Some(lock) = lock {
            lock.close().await.expect("the connection closes");
        }
        let triggers = TABLES.iter().flat_map(|table| ["INSERT", "UPDATE", "DELETE"].map(|change| (table, change)));
        let mut statements: String =
            triggers.map(|(table, change)| format!("DROP TRIGGER IF EXISTS fault_{table}_{change};")).collect();
        statements += "DROP TABLE IF EXISTS fault_child; DROP TABLE IF EXISTS fault;";
        self.meddle(statements).await;
    }
}

#[tokio::test]
async fn of_an_operation_that_sqlite_rolled_back_nothing_stays_and_the_store_works() {
    every_write_fails_once(&[ROLLED_BACK], FaultySqlite::new).await;
}

#[tokio::test]
async fn of_an_operation_whose_statement_failed_nothing_stays_and_the_store_works() {
    every_write_fails_once(&[STILL_OPEN], FaultySqlite::new).await;
}

#[tokio::test]
async fn of_an_operation_that_could_not_begin_or_commit_nothing_stays_and_the_store_works() {
    every_write_fails_once(&[AT_COMMIT, LOCKED], FaultySqlite::new).await;
}

#[tokio::test]
async fn whether_it_can_be_written_is_known_without_the_lock_and_found_out_again() {
    // req O6: another process holds the lock, a write fails of it, and once the lock is free the store is ready by itself.
    let faulty = FaultySqlite::new().await;
    let store = faulty.store.clone();
    store.create_session(&session("one", "alice", at(0))).await.expect("the store works");
    assert!(faulty.break_at(LOCKED, 0).await);
    store.check().await.expect("a lock that another process holds makes nothing unready");
    let logout = revocation(session_target("one"), RevocationCause::Logout, at(1));
    store.revoke(&logout).await.expect_err("it cannot be written");
    let trouble = store.check().await.expect_err("a write has failed");
    assert!(common::whole(&trouble).contains("database is locked"), "{}", common::whole(&trouble));
    faulty.mend().await;
    while store.check().await.is_err() {
        tokio::task::yield_now().await;
    }
    store.revoke(&logout).await.expect("it can be written");
}

#[tokio::test]
async fn a_made_up_refresh_token_waits_for_no_lock() {
    // req K2: any client can send one, again and again.
    let faulty = FaultySqlite::new().await;
    assert!(faulty.break_at(LOCKED, 0).await);
    let times = usher_store::RevocationTimes { at: at(1), forget_at: at(2) };
    let ended = faulty.store.end_refresh_family(&secret("made up"), times).await;
    assert_eq!(ended.expect("nothing is written"), None);
}

#[tokio::test]
async fn closing_leaves_one_file() {
    let faulty = FaultySqlite::new().await;
    faulty.store.create_session(&session("one", "alice", at(0))).await.expect("the store works");
    // A write that failed and one that was given up have connections of their own behind them.
    assert!(faulty.break_at(ROLLED_BACK, 0).await);
    faulty.store.create_session(&session("two", "alice", at(0))).await.expect_err("it was rolled back");
    faulty.mend().await;
    {
        let given_up = session("three", "alice", at(0));
        let mut call = std::pin::pin!(faulty.store.create_session(&given_up));
        let polled = std::future::poll_fn(|context| std::task::Poll::Ready(call.as_mut().poll(context))).await;
        assert!(polled.is_pending(), "it takes more than one turn");
    }
    faulty.store.close().await;
    let files = std::fs::read_dir(faulty.place.directory.path()).expect("it is there");
    let names: Vec<_> = files.map(|file| file.expect("an entry").file_name()).collect();
    assert_eq!(names, ["usher.db"]);
}
