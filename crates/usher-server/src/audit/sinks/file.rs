//! A file of JSON lines as a sink, its chain's head in the store.
//!
//! Lines first, then the head, which is noted about once a second: after a crash between the two the file has lines that the store does
//! not know of, whose codes say that they are ours. They are taken note of when the file is opened.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::sync::Arc;

use usher_store::AuditStore;

use super::super::{AuditKeys, Chain};
use super::{Rendered, SinkError, in_background};

/// How much of a file's end is looked at for lines that the store does not know of, in bytes: more than is ever written at once.
const TAIL_BYTES: u64 = 8 << 20;
/// Lines after which the head is noted at once: with those written together, far fewer than are looked at.
const NOTE_AFTER: u64 = 1_000;

/// Writes to a file.
pub(in super::super) struct FileSink {
    path: PathBuf,
    name: String,
    store: Arc<dyn AuditStore>,
    keys: AuditKeys,
    open: Option<Open>,
    /// Lines that the store does not know of.
    unnoted: u64,
}

/// The file, and how far its chain has got.
struct Open {
    file: File,
    chain: Chain,
}

impl FileSink {
    /// The file at `path`, whose chain is called `name`.
    pub(in super::super) fn new(path: PathBuf, name: String, store: Arc<dyn AuditStore>, keys: AuditKeys) -> Self {
        Self { path, name, store, keys, open: None, unnoted: 0 }
    }

    pub(super) async fn append(&mut self, records: Arc<[Rendered]>) -> Result<(), SinkError> {
        let failed = |source| SinkError::File { path: self.path.clone(), source };
        let known = match self.open.take() {
            Some(open) => Ok(open),
            None => Err(Chain::new(&self.name, &self.keys, self.store.audit_head(&self.name).await?)),
        };
        let path = self.path.clone();
        let count = records.len() as u64;
        let written = in_background(move || {
            let (mut open, new) = match known {
                Ok(open) if is_at(&open.file, &path) => (open, false),
                // Whoever rotates the file moves it away: the chain goes on in a new one.
                Ok(Open { chain, .. }) | Err(chain) => (Open::at(path, chain)?, true),
            };
            open.write(&records)?;
            Ok((open, new))
        });
        // After an error the file is opened anew.
        let (open, new) = written.await.map_err(failed)?;
        self.open = Some(open);
        self.unnoted += count;
        // What leads from one file to the next is in the store before much follows.
        if new || self.unnoted >= NOTE_AFTER {
            self.settle().await;
        }
        Ok(())
    }

    /// Has the store know how far the chain has got.
    pub(super) async fn settle(&mut self) {
        let Some(open) = self.open.as_ref().filter(|_| self.unnoted > 0) else { return };
        // The lines are there: a head that could not be noted is noted the next time.
        match self.store.append_audit(&self.name, &open.chain.head(), &[]).await {
            Ok(()) => self.unnoted = 0,
            Err(error) => {
                tracing::warn!(%error, source = %error.source, "the head of the audit file's chain could not be noted");
            }
        }
    }
}

/// Whether `file` is still the one at `path`.
fn is_at(file: &File, path: &std::path::Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(there)) => (open.dev(), open.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

impl Open {
    fn at(path: PathBuf, mut chain: Chain) -> io::Result<Self> {
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
        Ok(Self { file, chain })
    }

    /// All lines, or none: a line that was written in part would look like one that was tampered with.
    fn write(&mut self, records: &[Rendered]) -> io::Result<()> {
        let length = self.file.metadata()?.len();
        let mut chain = self.chain.clone();
        let lines = records.iter().fold(String::new(), |lines, (_, json)| lines + &chain.append(json) + "\n");
        let written = self.file.write_all(lines.as_bytes()).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            let _ = self.file.set_len(length);
            return Err(error);
        }
        self.chain = chain;
        Ok(())
    }
}

impl fmt::Debug for FileSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileSink").field("path", &self.path).finish_non_exhaustive()
    }
}
