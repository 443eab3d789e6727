//! A sink with what it could not take yet: records are kept in their order, tried again, and counted if there are too many.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use usher_auth::{Now, UnixTime};

use super::sinks::{Rendered, Sink, SinkError};
use super::trail_core::Core;
use super::{AuditEvent, Outcome, Record};

/// Most records that are written together: an event storm costs few syncs, and what a crash can tear is bounded.
pub(super) const MAX_BATCH: usize = 1_024;
/// Most that one sink may have waiting, in bytes of records: some 15,000. Further records are counted, and a record says how many.
const MAX_PENDING_BYTES: usize = 8 << 20;
/// A sink that had too many waiting takes new ones again below this, so that each loss is told by one record.
const RESUME_BYTES: usize = MAX_PENDING_BYTES / 2;
/// How long after it failed a sink is tried again. A store that is locked holds the writer for its own wait each time.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How often the log says that a sink still fails.
const REMIND_EVERY: Duration = Duration::from_mins(1);

/// A sink, what waits for it, and what it has lost.
pub(super) struct Outlet {
    sink: Sink,
    /// Not written yet, oldest first.
    pending: VecDeque<Rendered>,
    pending_bytes: usize,
    /// Lost since the last record that told of it: later than all of `pending`.
    lost: Option<Loss>,
    /// When it was last tried without success, on the monotonic clock; `None` if it works.
    failed_at: Option<Duration>,
    /// When the log was last told that it fails.
    told_at: Option<Duration>,
    /// Whether the log knows of this failure.
    told: bool,
}

/// Records that could not be kept and were not told of yet.
#[derive(Clone, Copy)]
pub(super) struct Loss {
    pub(super) count: u64,
    pub(super) first: UnixTime,
    pub(super) last: UnixTime,
}

impl Outlet {
    pub(super) fn new(sink: Sink) -> Self {
        Self {
            sink,
            pending: VecDeque::new(),
            pending_bytes: 0,
            lost: None,
            failed_at: None,
            told_at: None,
            told: false,
        }
    }

    /// Whether the last attempt failed.
    pub(super) fn is_failing(&self) -> bool {
        self.failed_at.is_some()
    }

    /// Has the sink do what it put off.
    pub(super) async fn settle(&mut self) {
        self.sink.settle().await;
    }

    /// Writes what waits and then `records`, or keeps what the sink does not take. A sink that failed a moment ago is tried again only
    /// if it is `urgent`.
    pub(super) async fn write(&mut self, records: &[Rendered], urgent: bool, core: &Core) {
        let now = core.clock.now();
        let waited = self.pending.len();
        for record in records {
            self.keep(record.clone(), core);
        }
        let counters = core.counters.of(self.sink.kind());
        let due = self.failed_at.is_none_or(|at| now.monotonic.saturating_sub(at) >= RETRY_AFTER);
        let written = if due || urgent { self.write_pending(now, core).await } else { 0 };
        let of_these = written.saturating_sub(waited).min(records.len());
        counters.failed.fetch_add((records.len() - of_these) as u64, Ordering::Relaxed);
    }

    /// Puts a record behind those that wait, if there is room.
    fn keep(&mut self, record: Rendered, core: &Core) {
        let bound = if self.lost.is_some() { RESUME_BYTES } else { MAX_PENDING_BYTES };
        if self.pending_bytes + record.1.len() > bound {
            core.counters.of(self.sink.kind()).lost.fetch_add(1, Ordering::Relaxed);
            let (at, before) = (record.0, self.lost);
            self.lost = Some(Loss {
                count: before.map_or(0, |loss| loss.count) + 1,
                first: before.map_or(at, |loss| loss.first),
                last: at,
            });
            return;
        }
        self.tell_of_loss(core);
        self.push(record, core);
    }

    /// What was lost is told of where it is missing.
    fn tell_of_loss(&mut self, core: &Core) {
        if let Some(loss) = self.lost.take() {
            let now = core.clock.now().unix;
            self.push((now, loss.record("sink_failed").to_json(now, &core.keys).into()), core);
        }
    }

    fn push(&mut self, record: Rendered, core: &Core) {
        self.pending_bytes += record.1.len();
        self.pending.push_back(record);
        core.counters.of(self.sink.kind()).pending.fetch_add(1, Ordering::Relaxed);
    }

    /// Writes what waits until there is no more of it, or the sink fails. Returns how many records were written.
    async fn write_pending(&mut self, now: Now, core: &Core) -> usize {
        let counters = core.counters.of(self.sink.kind());
        let mut written = 0;
        loop {
            if self.pending.is_empty() {
                self.tell_of_loss(core);
            }
            if self.pending.is_empty() {
                self.works(now, written);
                return written;
            }
            // The first records of one attempt are the first of the next: sinks know by that which they have written already.
            let batch: Arc<[Rendered]> = self.pending.iter().take(MAX_BATCH).cloned().collect();
            if let Err(error) = self.sink.append(&batch).await {
                self.fails(core.clock.now(), &error);
                return written;
            }
            written += batch.len();
            counters.written.fetch_add(batch.len() as u64, Ordering::Relaxed);
            counters.pending.fetch_sub(batch.len() as u64, Ordering::Relaxed);
            self.pending_bytes -= self.pending.drain(..batch.len()).map(|(_, json)| json.len()).sum::<usize>();
        }
    }

    fn works(&mut self, now: Now, written: usize) {
        if self.failed_at.take().is_some() && std::mem::take(&mut self.told) {
            let sink = self.sink.kind().as_str();
            tracing::warn!(sink, written, "the audit sink works again: what waited is written");
        }
        if self.told_at.is_some_and(|at| now.monotonic.saturating_sub(at) >= REMIND_EVERY) {
            self.told_at = None;
        }
    }

    fn fails(&mut self, now: Now, error: &SinkError) {
        self.failed_at = Some(now.monotonic);
        if self.told_at.is_some_and(|at| now.monotonic.saturating_sub(at) < REMIND_EVERY) {
            return;
        }
        (self.told_at, self.told) = (Some(now.monotonic), true);
        let lost = self.lost.map_or(0, |loss| loss.count);
        tracing::error!(
            sink = self.sink.kind().as_str(),
            waiting = self.pending.len(),
            lost,
            %error,
            "audit records cannot be written: they are kept and tried again, and connections go on"
        );
    }
}

impl Loss {
    pub(super) fn record(self, reason: &'static str) -> Record {
        Record::new(AuditEvent::AuditFailed, Outcome::Failure)
            .reason(reason)
            .counting(self.count, self.first, self.last)
    }
}
