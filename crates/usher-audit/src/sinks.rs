//! Where records go. Each sink that is kept has a chain of its own, so that each can be verified by itself.

mod file;
mod store;

use std::io::{self, Write as _};
use std::sync::Arc;

use usher_auth::UnixTime;
use usher_store::StoreError;

pub(super) use file::FileSink;
pub(super) use store::{CHAIN as STORE_CHAIN, StoreSink};

/// A record as JSON, and when it was made. Sinks share the text.
pub(super) type Rendered = (UnixTime, Arc<str>);

/// What kind of sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SinkKind {
    /// The store.
    Store,
    /// A file of JSON lines.
    File,
    /// Standard output.
    Stdout,
}

impl SinkKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Store, Self::File, Self::Stdout];

    /// Its stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::File => "file",
            Self::Stdout => "stdout",
        }
    }
}

/// Why records could not be written.
#[derive(Debug, thiserror::Error)]
pub(super) enum SinkError {
    #[error("{}: {source}", path.display())]
    File { path: std::path::PathBuf, source: io::Error },
    #[error("standard output: {0}")]
    Stdout(io::Error),
    #[error("{0}: {source}", source = .0.source)]
    Store(#[from] StoreError),
}

/// One sink.
#[derive(Debug)]
pub(super) enum Sink {
    Store(StoreSink),
    File(FileSink),
    Stdout {
        /// Whether the last attempt failed, perhaps in the middle of a line.
        torn: bool,
    },
}

impl Sink {
    pub(super) fn kind(&self) -> SinkKind {
        match self {
            Self::Store(_) => SinkKind::Store,
            Self::File(_) => SinkKind::File,
            Self::Stdout { .. } => SinkKind::Stdout,
        }
    }

    /// Append all of `records` in their order. They are durable when this returns. After an error it is called again with records that
    /// begin with the same ones; the store and files then have each of them once, standard output perhaps twice.
    pub(super) async fn append(&mut self, records: &Arc<[Rendered]>) -> Result<(), SinkError> {
        match self {
            Self::Store(sink) => Ok(sink.append(records).await?),
            Self::File(sink) => sink.append(records.clone()).await,
            Self::Stdout { torn } => {
                let begin = String::from(if *torn { "\n" } else { "" });
                let lines = records.iter().fold(begin, |lines, (_, line)| lines + line + "\n");
                let write = move || {
                    let mut out = io::stdout().lock();
                    out.write_all(lines.as_bytes()).and_then(|()| out.flush())
                };
                let written = in_background(write).await;
                *torn = written.is_err();
                written.map_err(SinkError::Stdout)
            }
        }
    }

    /// Does what was put off while much was written.
    pub(super) async fn settle(&mut self) {
        if let Self::File(sink) = self {
            sink.settle().await;
        }
    }
}

/// Does what may take its time where it holds nobody up.
pub(super) async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}
