//! The audit trail and the heads of its chains.

use std::sync::Arc;

use super::fixtures::at;
use crate::{AuditEntry, AuditStore, ChainHead};

#[doc(hidden)]
pub const SOURCE: &str = include_str!("audit.rs");

fn entry(number: u64) -> AuditEntry {
    let seconds = i64::try_from(number).expect("a small number");
    AuditEntry { number, at: at(seconds), line: format!("{{\"seq\":{number},\"name\":\"Zoë\"}}") }
}

fn head(number: u64) -> ChainHead {
    ChainHead { number, mac: [u8::try_from(number).expect("a small number"); 32] }
}

async fn numbers(store: &dyn AuditStore, after: u64, limit: u32) -> Vec<u64> {
    let entries = store.audit_entries(after, limit).await.expect("the store works");
    entries.into_iter().map(|entry| entry.number).collect()
}

/// What is appended is found again, in pages, in its order.
pub async fn records_are_found_again_in_their_order(store: Arc<dyn AuditStore>) {
    assert_eq!(store.audit_head("store").await.expect("the store works"), None);
    assert_eq!(numbers(&*store, 0, 10).await, [0; 0]);
    store.append_audit("store", &head(3), &[entry(1), entry(2), entry(3)]).await.expect("the store works");
    store.append_audit("store", &head(4), &[entry(4)]).await.expect("the store works");
    assert_eq!(store.audit_entries(1, 2).await.expect("the store works"), [entry(2), entry(3)]);
    assert_eq!(numbers(&*store, 0, 10).await, [1, 2, 3, 4]);
    assert_eq!(numbers(&*store, 4, 10).await, [0; 0]);
}

/// Each chain has a head of its own; those of files have no records here.
pub async fn each_chain_has_its_head(store: Arc<dyn AuditStore>) {
    store.append_audit("store", &head(1), &[entry(1)]).await.expect("the store works");
    store.append_audit("file:audit.jsonl", &head(7), &[]).await.expect("the store works");
    store.append_audit("file:audit.jsonl", &head(8), &[]).await.expect("the store works");
    assert_eq!(store.audit_head("store").await.expect("the store works"), Some(head(1)));
    assert_eq!(store.audit_head("file:audit.jsonl").await.expect("the store works"), Some(head(8)));
    assert_eq!(store.audit_head("file:other.jsonl").await.expect("the store works"), None);
    assert_eq!(numbers(&*store, 0, 10).await, [1]);
}

/// A number that is there already is an error, and then neither the others nor the head are written.
pub async fn a_number_is_given_once(store: Arc<dyn AuditStore>) {
    store.append_audit("store", &head(2), &[entry(1), entry(2)]).await.expect("the store works");
    store.append_audit("store", &head(3), &[entry(3), entry(2)]).await.expect_err("2 is there already");
    store.append_audit("store", &head(3), &[entry(3), entry(3)]).await.expect_err("3 twice");
    assert_eq!(numbers(&*store, 0, 10).await, [1, 2]);
    assert_eq!(store.audit_head("store").await.expect("the store works"), Some(head(2)));
}

/// Reaping removes what is old and nothing else.
pub async fn reaping_removes_what_is_old_and_keeps_the_heads(store: Arc<dyn AuditStore>) {
    store.append_audit("store", &head(3), &[entry(1), entry(2), entry(3)]).await.expect("the store works");
    assert_eq!(store.reap_audit(at(2), at(3)).await.expect("the store works"), 1);
    assert_eq!(store.reap_audit(at(2), at(3)).await.expect("the store works"), 0);
    assert_eq!(numbers(&*store, 0, 10).await, [2, 3]);
    assert_eq!(store.reap_audit(at(100), at(100)).await.expect("the store works"), 2);
    assert_eq!(store.audit_head("store").await.expect("the store works"), Some(head(3)));
}

/// A record is missing in the middle only if somebody took it: those that were written while the clock was wrong go with their neighbours.
pub async fn reaping_removes_a_beginning(store: Arc<dyn AuditStore>) {
    let times = [10, 11, -900, -800, 12, 5_000, 13, 20];
    let entries: Vec<_> =
        (1..).zip(times).map(|(number, seconds)| AuditEntry { at: at(seconds), ..entry(number) }).collect();
    store.append_audit("store", &head(8), &entries).await.expect("the store works");
    // How many are removed of those older than the first, when it is the second.
    for (before, now, removed) in
        [(5, 30, 0), (11, 30, 1), (12, 30, 3), (13, 40, 1), (14, -100, 2), (20, 21, 0), (9_000, 9_000, 1)]
    {
        let reaped = store.reap_audit(at(before), at(now)).await.expect("the store works");
        assert_eq!(reaped, removed, "before {before} at {now}");
        let left = numbers(&*store, 0, 10).await;
        let first = left.first().copied().unwrap_or(9);
        assert_eq!(left, (first..=8).collect::<Vec<_>>());
    }
    assert_eq!(numbers(&*store, 0, 10).await, [0; 0]);
}
