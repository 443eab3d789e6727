//! Copies that are made, stopped and left behind.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;

struct Place {
    folder: tempfile::TempDir,
    store: SqlStore,
}

impl Place {
    /// A store with `rows` rows of 1 KiB.
    async fn with_rows(rows: u32) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}", folder.path().join("usher.db").display());
        let store = SqlStore::open(&url, SqlOptions::default()).await.expect("a new store");
        let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
                    INSERT INTO audit_records SELECT i, 0, hex(randomblob(512)) FROM n";
        sqlx::query(fill).bind(rows).execute(store.writer.pool()).await.expect("it is written");
        Self { folder, store }
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).expect("it is there");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
        names.sort();
        names
    }

    fn copy(&self) -> PathBuf {
        self.folder.path().join("copy.db")
    }
}

#[tokio::test]
async fn a_copy_that_is_stopped_leaves_nothing_behind_and_the_store_closes() {
    // req O6: at each of the first steps, and then at steps further apart.
    let place = Place::with_rows(200).await;
    for steps in [0, 1, 2, 5, 20, 100, 300] {
        let asked = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let stopped = move || asked.fetch_add(1, Ordering::Relaxed) >= steps;
        let error = copy(&place.store.path, &place.copy(), stopped).await.expect_err("it was stopped");
        assert!(matches!(error, BackUpError::Stopped(_)), "{steps}: {error}");
        assert_eq!(place.names(), ["usher.db", "usher.db-shm", "usher.db-wal"], "{steps}");
    }
    place.store.close().await;
    assert_eq!(place.names(), ["usher.db"]);
}

#[tokio::test]
async fn closing_the_store_stops_the_copies_and_waits_for_their_end() {
    // req O6
    let place = Place::with_rows(2_000).await;
    let to = place.copy();
    let mut copying = pin!(place.store.back_up(&to));
    // It has begun, in a task that has not run yet.
    assert!(matches!(copying.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Pending));
    place.store.close().await;
    assert_eq!(place.names(), ["usher.db"], "no copy, no part of one, and no write-ahead log");
    assert!(matches!(copying.await, Err(BackUpError::Stopped(_))));
    assert!(place.store.back_up(&to).await.is_err(), "it is closed");
    assert_eq!(place.names(), ["usher.db"]);
}

#[tokio::test]
async fn a_copy_that_its_caller_gives_up_is_removed() {
    let place = Place::with_rows(2_000).await;
    let to = place.copy();
    {
        let mut copying = pin!(place.store.back_up(&to));
        assert!(matches!(copying.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Pending));
    }
    drop(place.store.copies.running.write().await);
    assert_eq!(place.names(), ["usher.db", "usher.db-shm", "usher.db-wal"]);
}

#[tokio::test]
async fn what_is_no_part_of_a_copy_is_not_removed() {
    let place = Place::with_rows(20).await;
    let to = place.copy();
    let (partial, journal) = (with_suffix(&to, ".partial"), with_suffix(&to, ".partial-journal"));
    for path in [&partial, &journal] {
        fs::write(path, "an operator's own notes").expect("the folder is writable");
        let error = place.store.back_up(&to).await.expect_err("it is in the way");
        assert!(matches!(&error, BackUpError::InTheWay(named) if named == path), "{error}");
        assert_eq!(fs::read_to_string(path).expect("it is there"), "an operator's own notes");
        fs::remove_file(path).expect("it is there");
    }
    fs::create_dir(&partial).expect("the folder is writable");
    let error = place.store.back_up(&to).await.expect_err("it is in the way");
    assert!(error.to_string().contains("copy.db.partial is there already, and is no part of a backup"), "{error}");
}

#[tokio::test]
async fn a_copy_appears_when_it_is_complete_and_replaces_nothing() {
    let place = Place::with_rows(20).await;
    let to = place.copy();
    let partial = with_suffix(&to, ".partial");
    // Left behind by a process that was killed.
    fs::write(&partial, "SQLite format 3\0 and half a copy").expect("the folder is writable");
    place.store.back_up(&to).await.expect("a copy");
    assert_eq!(place.names(), ["copy.db", "usher.db", "usher.db-shm", "usher.db-wal"]);
    let before = fs::read(&to).expect("it is there");
    assert!(matches!(place.store.back_up(&to).await, Err(BackUpError::Exists(_))));
    assert_eq!(fs::read(&to).expect("it is there"), before);

    let other = place.folder.path().join("other.db");
    let held = Partial::create(&other).expect("it is new");
    assert!(matches!(place.store.back_up(&other).await, Err(BackUpError::BeingMade(_))));
    drop(held);
    place.store.back_up(&other).await.expect("a copy");
}
