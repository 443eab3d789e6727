//! Sinks that fail for a while: what they could not take is kept, in order, and written once.

use std::io;
use std::sync::Mutex;

use async_trait::async_trait;
use usher_auth::UnixTime;
use usher_store::{AuditEntry, ChainHead, StoreError};

use super::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Works,
    /// As a full disk, a lock or a read-only file system.
    Fails,
    /// The commit happened, and the answer was lost.
    CommitsAndFails,
}

struct FlakyStore {
    store: MemoryStore,
    mode: Mutex<Mode>,
}

impl FlakyStore {
    fn new(mode: Mode) -> Arc<Self> {
        Arc::new(Self { store: MemoryStore::new(), mode: Mutex::new(mode) })
    }

    fn set(&self, mode: Mode) {
        *self.mode.lock().expect("not poisoned") = mode;
    }

    fn answer(&self) -> Result<(), StoreError> {
        let full = || StoreError::new("appending", io::Error::from(io::ErrorKind::StorageFull));
        if *self.mode.lock().expect("not poisoned") == Mode::Works { Ok(()) } else { Err(full()) }
    }
}

#[async_trait]
impl AuditStore for FlakyStore {
    async fn append_audit(&self, chain: &str, head: &ChainHead, entries: &[AuditEntry]) -> Result<(), StoreError> {
        if *self.mode.lock().expect("not poisoned") != Mode::Fails {
            self.store.append_audit(chain, head, entries).await?;
        }
        self.answer()
    }

    async fn audit_head(&self, chain: &str) -> Result<Option<ChainHead>, StoreError> {
        self.store.audit_head(chain).await
    }

    async fn audit_entries(&self, after: u64, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        self.store.audit_entries(after, limit).await
    }

    async fn reap_audit(&self, before: UnixTime, now: UnixTime) -> Result<u64, StoreError> {
        self.store.reap_audit(before, now).await
    }
}

/// The users that the lines are about, `None` for those about none.
fn subjects(lines: &[String]) -> Vec<Option<String>> {
    let value = |line: &String| serde_json::from_str::<serde_json::Value>(line).expect("JSON");
    lines.iter().map(|line| value(line)["subject"].as_str().map(str::to_owned)).collect()
}

fn users(numbers: std::ops::Range<usize>) -> Vec<Option<String>> {
    numbers.map(|number| Some(format!("user-{number}"))).collect()
}

#[tokio::test]
async fn what_a_failing_store_could_not_take_is_written_once_and_in_order_when_it_works() {
    // req N5
    for trouble in [Mode::Fails, Mode::CommitsAndFails] {
        let store = FlakyStore::new(Mode::Works);
        let (trail, writer) = trail(vec![SinkSetting::Store], &store);
        tokio::spawn(writer.run());
        trail.record(login(0));
        trail.flush().await;
        store.set(trouble);
        for number in 1..3_000 {
            trail.record(login(number));
            if number % 500 == 0 {
                trail.flush().await;
            }
        }
        trail.flush().await;
        let status = trail.status();
        assert!(status.failing, "{trouble:?}");
        assert_eq!((status.pending[0] + status.written[0], status.lost[0]), (3_000, 0), "{trouble:?}");
        store.set(Mode::Works);
        trail.flush().await;
        let status = trail.status();
        assert_eq!((status.failing, status.pending, status.lost), (false, [0; 3], [0; 3]), "{trouble:?}");
        assert_eq!(status.written, [3_000, 0, 0], "{trouble:?}");
        let lines = trail.tail(10_000).await.expect("readable");
        assert!(subjects(&lines) == users(0..3_000), "{trouble:?}: {} lines, each once and in order", lines.len());
        let report = trail.verify(Vec::new()).await.expect("readable").remove(0);
        assert_eq!((report.records, report.problems), (3_000, vec![]), "{trouble:?}");
    }
}

#[tokio::test]
async fn what_there_was_no_room_for_is_told_of_where_it_is_missing() {
    // req N5
    let store = FlakyStore::new(Mode::Fails);
    let (trail, writer) = trail(vec![SinkSetting::Store], &store);
    tokio::spawn(writer.run());
    let mut recorded = 0_usize;
    // Until the sink's queue is full and some more are lost.
    while trail.status().lost[0] < 100 {
        for _ in 0..2_000 {
            trail.record(login(recorded / 10).detail(format!("{recorded:0>250}")));
            recorded += 1;
        }
        trail.flush().await;
        assert!(recorded < 100_000, "the queue is bounded: {:?}", trail.status());
    }
    let lost = trail.status().lost[0];
    let kept = usize::try_from(trail.status().pending[0]).expect("a number");
    assert_eq!(kept + usize::try_from(lost).expect("a number"), recorded);
    store.set(Mode::Works);
    trail.flush().await;
    trail.record(login(recorded));
    trail.flush().await;
    let lines = trail.tail(10_000).await.expect("readable");
    let end = &lines[lines.len() - 2];
    assert!(end.contains("sys_audit_failed") && end.contains(&format!("\"count\":{lost},")), "{end}");
    let last_kept = &lines[lines.len() - 3];
    assert!(
        last_kept.contains(&format!("\"{:0>250}\"", kept - 1)),
        "the loss stands behind what was kept: {last_kept}"
    );
    let report = trail.verify(Vec::new()).await.expect("readable").remove(0);
    assert_eq!((report.records, report.problems), (kept as u64 + 2, vec![]));
    assert_eq!(trail.status().lost[0], lost);
}

#[tokio::test]
async fn a_file_that_cannot_be_written_gets_its_records_later() {
    // req N5
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("logs/audit.jsonl");
    let store = Arc::new(MemoryStore::new());
    let (trail, writer) = trail(file_at(&path), &store);
    tokio::spawn(writer.run());
    for number in 0..50 {
        trail.record(login(number));
    }
    trail.flush().await;
    assert_eq!(trail.status().pending, [0, 50, 0]);
    fs::create_dir(folder.path().join("logs")).expect("a folder");
    trail.record(login(50));
    trail.flush().await;
    let lines: Vec<String> = fs::read_to_string(&path).expect("the file").lines().map(str::to_owned).collect();
    assert_eq!(subjects(&lines), users(0..51));
    assert_eq!((trail.status().pending, trail.status().lost), ([0; 3], [0; 3]));
    let report = trail.verify(Vec::new()).await.expect("readable").remove(0);
    assert_eq!((report.records, report.problems), (51, vec![]));
}
