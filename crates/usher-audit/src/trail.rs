//! The handle by which everybody records.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use usher_auth::{Clock, UnixTime};
use usher_store::{AuditStore, StoreError};

use super::check::Checker;
use super::sinks::{FileSink, STORE_CHAIN, Sink, StoreSink, in_background};
use super::status::Counters;
use super::trail_core::Core;
use super::writer::Order;
use super::{AuditEvent, AuditKeys, AuditStatus, AuditWriter, Chain, ChainReport, Outcome, Record};

/// Most records that wait to be written: some 10 MB, because what a client sends is cut before. When it is full a record is dropped and counted, and a record says how many were:
/// whoever connects never waits for a disk.
const QUEUE_RECORDS: usize = 8_192;
/// Records of the store that are read at once when it is verified.
pub(super) const PAGE: u32 = 1_000;
/// Longest line that is read, in bytes: none that we write is longer.
const MAX_LINE_BYTES: u64 = 64 * 1024;
/// How much of a file's end is looked at for its last lines, in bytes for each line.
const TAIL_BYTES_PER_LINE: u64 = 4 * 1024;

/// A configured sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkSetting {
    /// The store.
    Store,
    /// A file of JSON lines.
    File {
        /// Where it is.
        path: PathBuf,
        /// What its chain is called: the path as it is configured.
        name: String,
    },
    /// Standard output.
    Stdout,
}

/// What the operator decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditSettings {
    /// Where records go.
    pub sinks: Vec<SinkSetting>,
    /// How long the store keeps them.
    pub keep: Duration,
    /// Whether joins that are allowed are recorded.
    pub joins: bool,
}

/// Why the trail could not be read.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// Nothing is kept that could be read.
    #[error("no audit sink keeps records: add \"store\" or \"file:…\" to audit.sinks")]
    NothingKept,
    /// Files were named, but none is configured.
    #[error("audit.sinks has no file that these could be rotated from")]
    NoFile,
    /// A file cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The store cannot be read.
    #[error("{0}: {source}", source = .0.source)]
    Store(#[from] StoreError),
}

/// The audit trail. A cheap handle.
#[derive(Clone)]
pub struct AuditTrail {
    core: Arc<Core>,
    queue: Option<mpsc::Sender<Order>>,
    store: Arc<dyn AuditStore>,
    settings: Arc<AuditSettings>,
}

impl AuditTrail {
    /// A trail and its writer, which nobody else may have for the same sinks: a chain has one writer.
    pub fn new(
        settings: AuditSettings,
        store: Arc<dyn AuditStore>,
        keys: AuditKeys,
        clock: Arc<dyn Clock>,
    ) -> (Self, AuditWriter) {
        let core = Arc::new(Core { clock, keys, flood: Mutex::default(), counters: Counters::default() });
        let (queue, orders) = mpsc::channel(QUEUE_RECORDS);
        let sinks = settings.sinks.iter().map(|sink| match sink {
            SinkSetting::Store => Sink::Store(StoreSink::new(store.clone(), core.keys.clone())),
            SinkSetting::File { path, name } => {
                Sink::File(FileSink::new(path.clone(), name.clone(), store.clone(), core.keys.clone()))
            }
            SinkSetting::Stdout => Sink::Stdout { torn: false },
        });
        let writer = AuditWriter::new(orders, core.clone(), sinks.collect());
        (Self { core, queue: Some(queue), store, settings: Arc::new(settings) }, writer)
    }

    /// Remember that something happened. Never waits.
    pub fn record(&self, record: Record) {
        if self.settings.sinks.is_empty() {
            return;
        }
        let now = self.core.clock.now();
        let record = record.sealed(&self.core.keys);
        let (over, record) = {
            let mut flood = self.core.flood.lock();
            (flood.due(now), flood.admit(record, now))
        };
        for record in over.into_iter().chain(record) {
            self.send(now.unix, record);
        }
    }

    fn send(&self, at: UnixTime, record: Record) {
        let Some(queue) = &self.queue else { return };
        if queue.try_send(Order::Write(at, Box::new(record))).is_err() {
            self.core.counters.dropped.fetch_add(1, Ordering::Relaxed);
            self.core.counters.unreported.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns once everything recorded before was written, or could not be.
    pub async fn flush(&self) {
        let Some(queue) = &self.queue else { return };
        let (done, written) = oneshot::channel();
        if queue.send(Order::Flush(done)).await.is_ok() {
            let _ = written.await;
        }
    }

    /// As [`AuditTrail::flush`], with what is still being counted: nothing more is to come.
    pub async fn finish(&self) {
        let now = self.core.clock.now();
        let counted = self.core.flood.lock().take();
        for record in counted {
            self.send(now.unix, record);
        }
        self.flush().await;
    }

    /// Whether joins that are allowed are recorded.
    pub fn records_joins(&self) -> bool {
        self.settings.joins
    }

    /// How it fares.
    pub fn status(&self) -> AuditStatus {
        let queued = self.queue.as_ref().map_or(0, |queue| queue.max_capacity() - queue.capacity());
        self.core.counters.status(queued)
    }

    /// Removes from the store what is older than it keeps when so much time has `passed` for sure, and records how much that was.
    pub async fn reap(&self, passed: UnixTime) -> Result<(), StoreError> {
        let now = self.core.clock.now().unix;
        let removed = self.store.reap_audit(passed.minus(self.settings.keep), now).await?;
        if removed > 0 {
            let record = Record::new(AuditEvent::AuditReaped, Outcome::Success).reason("age");
            self.record(record.counting(removed, now, now));
        }
        Ok(())
    }

    /// The last `limit` records, as lines: from the store if it keeps them, else from the first file.
    pub async fn tail(&self, limit: u32) -> Result<Vec<String>, AuditError> {
        self.flush().await;
        for sink in &self.settings.sinks {
            match sink {
                SinkSetting::Store => {
                    let last = self.store.audit_head(STORE_CHAIN).await?.map_or(0, |head| head.number);
                    let entries = self.store.audit_entries(last.saturating_sub(u64::from(limit)), limit).await?;
                    return Ok(entries.into_iter().map(|entry| entry.line).collect());
                }
                SinkSetting::File { path, .. } => {
                    let of = path.clone();
                    let lines = in_background(move || last_lines(&of, limit)).await;
                    return lines.map_err(|source| AuditError::File { path: path.clone(), source });
                }
                SinkSetting::Stdout => {}
            }
        }
        Err(AuditError::NothingKept)
    }

    /// Verifies what each sink keeps. `rotated` are earlier files of the first file sink, oldest first.
    pub async fn verify(&self, rotated: Vec<PathBuf>) -> Result<Vec<ChainReport>, AuditError> {
        self.flush().await;
        let mut rotated = Some(rotated).filter(|files| !files.is_empty());
        let mut reports = Vec::new();
        for sink in &self.settings.sinks {
            match sink {
                SinkSetting::Store => reports.push(self.verify_store().await?),
                SinkSetting::File { path, name } => {
                    let mut files = rotated.take().unwrap_or_default();
                    files.push(path.clone());
                    reports.push(self.verify_files(name, files).await?);
                }
                SinkSetting::Stdout => {}
            }
        }
        if rotated.is_some() {
            return Err(AuditError::NoFile);
        }
        if reports.is_empty() { Err(AuditError::NothingKept) } else { Ok(reports) }
    }

    async fn verify_store(&self) -> Result<ChainReport, AuditError> {
        // The head first: what is appended meanwhile is newer than it, and no problem.
        let head = self.store.audit_head(STORE_CHAIN).await?;
        let mut checker = Checker::new(Chain::new(STORE_CHAIN, &self.core.keys, None));
        let mut after = 0;
        loop {
            let page = self.store.audit_entries(after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(checker.finish(STORE_CHAIN, head)) };
            after = last.number;
            for entry in &page {
                checker.line(&entry.line);
            }
        }
    }

    async fn verify_files(&self, name: &str, files: Vec<PathBuf>) -> Result<ChainReport, AuditError> {
        let head = self.store.audit_head(name).await?;
        let mut checker = Checker::new(Chain::new(name, &self.core.keys, None));
        let current = files.last().cloned();
        for path in files {
            let of = path.clone();
            let new = current.as_ref() == Some(&path);
            let read = in_background(move || match read_lines(&of, &mut checker) {
                // Right after a rotation there is no file yet.
                Err(error) if new && error.kind() == io::ErrorKind::NotFound => Ok(checker),
                result => result.map(|()| checker),
            });
            checker = read.await.map_err(|source| AuditError::File { path, source })?;
        }
        Ok(checker.finish(name, head))
    }
}

fn read_lines(path: &Path, checker: &mut Checker) -> io::Result<()> {
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    loop {
        line.clear();
        (&mut reader).take(MAX_LINE_BYTES).read_until(b'\n', &mut line)?;
        match line.pop() {
            None => return Ok(()),
            Some(b'\n') => {}
            Some(_) if (line.len() as u64) < MAX_LINE_BYTES - 1 => {
                checker.unfinished();
                return Ok(());
            }
            // Far too long to be ours: a piece of it is as good as a line that does not hold.
            Some(_) => {}
        }
        checker.line(&String::from_utf8_lossy(&line));
    }
}

fn last_lines(path: &Path, limit: u32) -> io::Result<Vec<String>> {
    use std::io::{Seek as _, SeekFrom};
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let length = file.metadata()?.len();
    let looked_at = length.min(u64::from(limit).saturating_mul(TAIL_BYTES_PER_LINE));
    file.seek(SeekFrom::Start(length - looked_at))?;
    let mut text = Vec::new();
    file.take(looked_at).read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut lines: Vec<String> = text.lines().rev().take(limit).map(str::to_owned).collect();
    lines.reverse();
    Ok(lines)
}
