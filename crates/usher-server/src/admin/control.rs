//! The control socket: a Unix socket beside the data, by which its owner has the running server carry out operations.
//!
//! One line of JSON asks, one answers. Lines, waits and connections are bounded.

mod address;
mod client;
mod listener;
mod wire;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

pub use client::{ControlClient, Way, find_way};
pub use listener::ControlSocket;

/// Longest wait for another process to finish with the data.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked whether it has.
const LOCK_POLL: Duration = Duration::from_millis(50);

/// Why the control socket, or the data beside it, cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// A server runs, or another command takes very long.
    #[error("another usher is using the data of {}: stop it first, or wait for it to finish", path.display())]
    InUse {
        /// The lock file.
        path: PathBuf,
    },
    /// The file system does not let us.
    #[error("{} cannot be used: {source}", path.display())]
    Path {
        /// The socket or the lock file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The socket is somebody else's.
    #[error("{} belongs to another user: run the command as the user that the server runs as", path.display())]
    OtherUser {
        /// The socket.
        path: PathBuf,
    },
    /// The server went away, or its answer is none.
    #[error("the running server did not answer: {0}")]
    NoAnswer(#[from] io::Error),
    /// The server carried nothing out, and says why.
    #[error("{message}")]
    Refused {
        /// The reason's stable name.
        code: String,
        /// For people to read.
        message: String,
    },
}
