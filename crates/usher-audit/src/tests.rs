//! The trail when things go wrong: a full queue, a crash, a restart.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use usher_auth::Clock as _;
use usher_auth::ids::UserId;
use usher_axum::ambient::SystemClock;
use usher_store::AuditStore;
use usher_store::memory::MemoryStore;

use super::*;

mod trouble;

fn trail(sinks: Vec<SinkSetting>, store: &Arc<impl AuditStore + 'static>) -> (AuditTrail, AuditWriter) {
    let settings = AuditSettings { sinks, keep: Duration::from_hours(1), joins: false };
    AuditTrail::new(settings, store.clone(), AuditKeys::from_secret(&[3; 32]), Arc::new(SystemClock::new()))
}

fn file_at(path: &Path) -> Vec<SinkSetting> {
    vec![SinkSetting::File { path: path.to_owned(), name: "file:audit.jsonl".to_owned() }]
}

/// Of a user of that number, so that no two are alike.
fn login(number: usize) -> Record {
    let user = UserId::new(format!("user-{number}")).expect("an id");
    Record::new(AuditEvent::LoginSuccess, Outcome::Success).subject(&user)
}

#[tokio::test]
async fn what_the_queue_had_no_room_for_is_counted_and_told_of() {
    // req N5
    let store = Arc::new(MemoryStore::new());
    let (trail, writer) = trail(vec![SinkSetting::Store], &store);
    // Nobody writes yet.
    for number in 0..9_000 {
        trail.record(login(number));
    }
    let status = trail.status();
    assert_eq!((status.queued, status.dropped), (8_192, 808));
    tokio::spawn(writer.run());
    let last = trail.tail(10_000).await.expect("readable");
    assert_eq!(last.len(), 8_193);
    let told = last.iter().find(|line| line.contains("sys_audit_failed")).expect("it is told of");
    assert!(told.contains("\"reason\":\"queue_full\"") && told.contains("\"count\":808"), "{told}");
    assert_eq!(trail.status().written, [8_193, 0, 0]);
    let report = &trail.verify(Vec::new()).await.expect("readable")[0];
    assert_eq!((report.records, report.problems.len()), (8_193, 0));
}

#[tokio::test]
async fn a_crash_between_line_and_head_and_in_the_middle_of_a_line() {
    // req N5
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit.jsonl");
    let store = Arc::new(MemoryStore::new());
    let (first, writer) = trail(file_at(&path), &store);
    tokio::spawn(writer.run());
    first.record(login(1));
    first.flush().await;
    let known = store.audit_head("file:audit.jsonl").await.expect("it works").expect("it has begun");
    first.record(login(2));
    first.flush().await;
    drop(first);
    // As if the process had ended after the second line, before its head was noted, and while it wrote a third.
    store.append_audit("file:audit.jsonl", &known, &[]).await.expect("it works");
    let mut file = OpenOptions::new().append(true).open(&path).expect("the file");
    file.write_all(b"{\"time\":\"2026").expect("torn");

    let (second, writer) = trail(file_at(&path), &store);
    tokio::spawn(writer.run());
    let report = second.verify(Vec::new()).await.expect("readable").remove(0);
    assert_eq!(report.problems, [""; 0]);
    assert_eq!(
        report.notes,
        [
            "the last line is being written or was never finished",
            "records 2 to 2 are newer than what the store knows of"
        ]
    );
    second.record(login(3));
    let report = second.verify(Vec::new()).await.expect("readable").remove(0);
    assert_eq!((report.records, report.problems, report.notes), (3, vec![], vec![]));
    let text = fs::read_to_string(&path).expect("the file");
    assert_eq!(text.lines().count(), 3);
}

#[tokio::test]
async fn what_is_still_being_counted_is_written_at_the_end() {
    // req N5
    let store = Arc::new(MemoryStore::new());
    let (trail, writer) = trail(vec![SinkSetting::Store], &store);
    tokio::spawn(writer.run());
    for _ in 0..50 {
        trail.record(Record::new(AuditEvent::LoginFail, Outcome::Failure).reason("invalid_token"));
    }
    trail.record(Record::new(AuditEvent::Shutdown, Outcome::Success));
    trail.finish().await;
    let lines = trail.tail(100).await.expect("readable");
    assert_eq!(lines.len(), 20 + 1 + 1);
    assert!(lines[21].contains("\"count\":30"), "{}", lines[21]);
}

#[tokio::test]
async fn old_records_are_removed_and_that_is_recorded() {
    let store = Arc::new(MemoryStore::new());
    let (trail, writer) = trail(vec![SinkSetting::Store], &store);
    tokio::spawn(writer.run());
    trail.record(login(1));
    trail.flush().await;
    trail.reap(SystemClock::new().now().unix).await.expect("it works");
    assert_eq!(trail.tail(10).await.expect("readable").len(), 1, "it is not old");
    assert_eq!(store.reap_audit(usher_auth::UnixTime::MAX, usher_auth::UnixTime::MAX).await.expect("it works"), 1);
    trail.record(login(2));
    let report = trail.verify(Vec::new()).await.expect("readable").remove(0);
    assert_eq!(report.problems, [""; 0]);
    assert_eq!(report.notes, ["begins with record 2; what came before was rotated or removed by age"]);
}

/// Until the writer has taken everything that was recorded, and so many were written or lost.
async fn settled(trail: &AuditTrail, written: u64, failed: u64) {
    while (trail.status().written[1], trail.status().failed[1]) != (written, failed) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_rotation_while_the_new_file_cannot_be_opened() {
    // req N5: nobody tampered.
    let folder = tempfile::tempdir().expect("a folder");
    let (path, rotated) = (folder.path().join("audit.jsonl"), folder.path().join("audit.jsonl.1"));
    let store = Arc::new(MemoryStore::new());
    let (trail, writer) = trail(file_at(&path), &store);
    tokio::spawn(writer.run());
    trail.record(login(1));
    trail.flush().await;
    trail.record(login(2));
    trail.record(login(3));
    settled(&trail, 3, 0).await;
    fs::rename(&path, &rotated).expect("rotated");
    fs::create_dir(&path).expect("in the way");
    trail.record(login(4));
    settled(&trail, 3, 1).await;
    fs::remove_dir(&path).expect("out of the way");
    trail.record(login(5));
    trail.flush().await;
    let report = trail.verify(vec![rotated]).await.expect("readable").remove(0);
    assert_eq!((report.problems, report.notes), (vec![], vec![]));
}

#[tokio::test]
async fn a_crash_right_after_a_rotation() {
    // req N5: by renaming, and by copying and truncating.
    for truncate in [false, true] {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, rotated) = (folder.path().join("audit.jsonl"), folder.path().join("audit.jsonl.1"));
        let store = Arc::new(MemoryStore::new());
        let (first, writer) = trail(file_at(&path), &store);
        let writing = tokio::spawn(writer.run());
        first.record(login(1));
        first.flush().await;
        first.record(login(2));
        settled(&first, 2, 0).await;
        if truncate {
            fs::copy(&path, &rotated).expect("copied");
            OpenOptions::new().write(true).open(&path).and_then(|file| file.set_len(0)).expect("truncated");
        } else {
            fs::rename(&path, &rotated).expect("rotated");
        }
        first.record(login(3));
        settled(&first, 3, 0).await;
        writing.abort();

        let (second, writer) = trail(file_at(&path), &store);
        tokio::spawn(writer.run());
        second.record(login(4));
        second.flush().await;
        let report = second.verify(vec![rotated]).await.expect("readable").remove(0);
        assert_eq!((report.records, report.problems), (4, vec![]), "truncated: {truncate}");
    }
}
