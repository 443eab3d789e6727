//! A file of JSON lines as a sink, its chain's head in the store.
//!
//! Lines first, then the head, which is noted about once a second: after a crash between the two the file has lines that the store does
//! not know of, whose codes say that they are ours. They are taken note of when the file is opened.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use usher_store::AuditStore;

use super::super::{AuditKeys, Chain};
use super::{Rendered, SinkError, in_background};

/// How much of a file's end is looked at for lines that the store does not know of, in bytes: more than is written before it is told.
const TAIL_BYTES: u64 = 8 << 20;
/// Lines after which the head is noted at once: with those written together, far fewer than are looked at.
const NOTE_AFTER: u64 = 1_000;

/// Writes to a file.
pub(in super::super) struct FileSink {
    path: PathBuf,
    name: String,
    store: Arc<dyn AuditStore>,
    keys: AuditKeys,
    /// How far it has got, once that is known. It goes on from there whatever happens to the file.
    chain: Option<Chain>,
    open: Option<Open>,
    /// Lines that the store does not know of.
    unnoted: u64,
    /// Whether an error came while lines were written, which may be in the file all the same.
    attempted: bool,
    /// So many of the next call's records are in the file already.
    done: usize,
    /// Whether the log knows that the head cannot be noted.
    told: bool,
}

/// The file, as we left it.
struct Open {
    file: File,
    length: u64,
}

impl FileSink {
    /// The file at `path`, whose chain is called `name`.
    pub(in super::super) fn new(path: PathBuf, name: String, store: Arc<dyn AuditStore>, keys: AuditKeys) -> Self {
        Self { path, name, store, keys, chain: None, open: None, unnoted: 0, attempted: false, done: 0, told: false }
    }

    pub(super) async fn append(&mut self, records: Arc<[Rendered]>) -> Result<(), SinkError> {
        let path = self.path.clone();
        let failed = |source| SinkError::File { path: path.clone(), source };
        if let Some(open) = self.open.take() {
            let path = self.path.clone();
            self.open = in_background(move || Ok(Some(open).filter(|open| open.is_at(&path)))).await.map_err(failed)?;
            if self.open.is_none() {
                // Whoever rotates the file moves it away or empties it. The store knows how far the old one goes before the new one
                // begins: after a crash nothing in the new one would lead there.
                self.settle().await;
            }
        }
        let new = self.open.is_none();
        if new {
            let chain = match &self.chain {
                Some(chain) => chain.clone(),
                None => Chain::new(&self.name, &self.keys, self.store.audit_head(&self.name).await?),
            };
            let (path, before) = (self.path.clone(), chain.head().number);
            let (open, chain) = in_background(move || Open::at(&path, chain)).await.map_err(failed)?;
            if self.attempted {
                self.done += usize::try_from(chain.head().number - before).unwrap_or(usize::MAX);
                self.unnoted += chain.head().number - before;
            }
            (self.open, self.chain, self.attempted) = (Some(open), Some(chain), false);
        }
        let done = self.done;
        if done < records.len()
            && let (Some(mut open), Some(chain)) = (self.open.take(), self.chain.clone())
        {
            // After an error the file is opened anew, and the chain is where it was.
            self.attempted = true;
            let write = move || {
                let chain = open.write(chain, &records[done..])?;
                Ok((open, chain, records.len() - done))
            };
            let (open, chain, count) =
                in_background(write).await.map_err(|source| SinkError::File { path: self.path.clone(), source })?;
            (self.open, self.chain, self.attempted) = (Some(open), Some(chain), false);
            self.unnoted += count as u64;
        }
        self.done = 0;
        // What leads from one file to the next is in the store before much follows.
        if new || self.unnoted >= NOTE_AFTER {
            self.settle().await;
        }
        Ok(())
    }

    /// Has the store know how far the chain has got.
    pub(super) async fn settle(&mut self) {
        let Some(chain) = self.chain.as_ref().filter(|_| self.unnoted > 0) else { return };
        // The lines are there: a head that could not be noted is noted the next time.
        match self.store.append_audit(&self.name, &chain.head(), &[]).await {
            Ok(()) => (self.unnoted, self.told) = (0, false),
            Err(_) if self.told => {}
            Err(error) => {
                self.told = true;
                tracing::warn!(
                    %error,
                    source = %error.source,
                    "the head of the audit file's chain could not be noted; it is tried each second"
                );
            }
        }
    }
}

impl Open {
    /// Whether it is still the file at `path`, and nobody has taken anything away from it.
    fn is_at(&self, path: &Path) -> bool {
        match (self.file.metadata(), fs::metadata(path)) {
            (Ok(open), Ok(there)) => {
                (open.dev(), open.ino()) == (there.dev(), there.ino()) && open.len() >= self.length
            }
            _ => false,
        }
    }

    fn at(path: &Path, mut chain: Chain) -> io::Result<(Self, Chain)> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut tail = Vec::new();
        (&file).take(length.min(TAIL_BYTES)).read_to_end(&mut tail)?;
        let unfinished = tail.rsplit(|byte| *byte == b'\n').next().map_or(0, <[u8]>::len);
        for line in tail[..tail.len() - unfinished].split(|byte| *byte == b'\n') {
            if let Ok(line) = std::str::from_utf8(line) {
                chain.adopt(line);
            }
        }
        if unfinished > 0 {
            // Torn by a crash; nobody was ever told that it was written.
            tracing::warn!(bytes = unfinished, "the audit file ends in the middle of a line, which is taken away");
            file.set_len(length - unfinished as u64)?;
        }
        let length = length - unfinished as u64;
        Ok((Self { file, length }, chain))
    }

    /// All lines, or none: a line that was written in part would look like one that was tampered with.
    fn write(&mut self, mut chain: Chain, records: &[Rendered]) -> io::Result<Chain> {
        let length = self.file.metadata()?.len();
        let lines = records.iter().fold(String::new(), |lines, (_, json)| lines + &chain.append(json) + "\n");
        let written = self.file.write_all(lines.as_bytes()).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            let _ = self.file.set_len(length);
            return Err(error);
        }
        self.length = length + lines.len() as u64;
        Ok(chain)
    }
}

impl fmt::Debug for FileSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileSink").field("path", &self.path).finish_non_exhaustive()
    }
}
