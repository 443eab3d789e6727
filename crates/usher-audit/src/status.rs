//! How the trail fares: what is written, waits and is lost, as counts.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::SinkKind;

/// How the trail fares. Counts are of records, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuditStatus {
    /// Written, by kind of sink, in the order of [`SinkKind::ALL`].
    pub written: [u64; 3],
    /// Not written when they came because the sink failed, likewise. Those that were written later are also among `written`.
    pub failed: [u64; 3],
    /// Waiting for a sink that fails, likewise.
    pub pending: [u64; 3],
    /// Lost because too many waited for a sink that fails, likewise.
    pub lost: [u64; 3],
    /// Not written because the queue was full.
    pub dropped: u64,
    /// Waiting to be written.
    pub queued: usize,
    /// Whether a sink cannot be written to now.
    pub failing: bool,
}

impl AuditStatus {
    /// Records that are not written yet: what waits for the writer, and for each sink that fails.
    pub fn unwritten(&self) -> u64 {
        self.queued as u64 + self.pending.iter().sum::<u64>()
    }
}

/// Counted where records are made and by the writer; read for metrics and `/readyz`.
#[derive(Default)]
pub(super) struct Counters {
    sinks: [SinkCounters; 3],
    pub(super) dropped: AtomicU64,
    /// Those of `dropped` that no record has told of yet.
    pub(super) unreported: AtomicU64,
    pub(super) failing: AtomicBool,
}

#[derive(Default)]
pub(super) struct SinkCounters {
    pub(super) written: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) pending: AtomicU64,
    pub(super) lost: AtomicU64,
}

impl Counters {
    pub(super) fn of(&self, kind: SinkKind) -> &SinkCounters {
        &self.sinks[kind as usize]
    }

    /// As they are, with `queued` that wait for the writer.
    pub(super) fn status(&self, queued: usize) -> AuditStatus {
        let read = |counter: fn(&SinkCounters) -> &AtomicU64| {
            SinkKind::ALL.map(|kind| counter(self.of(kind)).load(Ordering::Relaxed))
        };
        AuditStatus {
            written: read(|counters| &counters.written),
            failed: read(|counters| &counters.failed),
            pending: read(|counters| &counters.pending),
            lost: read(|counters| &counters.lost),
            dropped: self.dropped.load(Ordering::Relaxed),
            queued,
            failing: self.failing.load(Ordering::Relaxed),
        }
    }
}
