//! Why something could not be measured.

use std::io;
use std::time::Duration;

/// Why something could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// A file, a socket or a process.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// A server ended, or did not listen in time.
    #[error("{server} did not start; it said:\n{said}")]
    NotStarted {
        /// Which.
        server: &'static str,
        /// The end of its log.
        said: String,
    },
    /// A connection was not let in.
    #[error("not let in: {0}")]
    Refused(String),
    /// Something did not happen.
    #[error("waited {} s for {what}", .patience.as_secs())]
    TooLate {
        /// What.
        what: &'static str,
        /// How long it was waited for.
        patience: Duration,
    },
    /// The other end broke the protocol, or left.
    #[error("{0}")]
    Peer(&'static str),
    /// A call to the server's HTTP API.
    #[error("HTTP: {0}")]
    Http(#[from] reqwest::Error),
    /// A token could not be signed.
    #[error("a token could not be made: {0}")]
    Token(#[from] jsonwebtoken::errors::Error),
    /// Results could not be read or written.
    #[error("results: {0}")]
    Results(#[from] serde_json::Error),
    /// Something that the command line asks for does not exist.
    #[error("{0}")]
    Usage(String),
}

impl BenchError {
    /// For `map_err`: what was being done.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        |source| Self::Io { what, source }
    }
}

/// Gives up on what takes too long, so that a server that hangs ends one measurement and not the whole run.
pub(crate) async fn within<T>(
    patience: Duration,
    what: &'static str,
    work: impl Future<Output = Result<T, BenchError>>,
) -> Result<T, BenchError> {
    tokio::time::timeout(patience, work).await.unwrap_or(Err(BenchError::TooLate { what, patience }))
}
