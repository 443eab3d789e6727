//! How frames get from a connection's queue to its client.

use std::sync::{Arc, Weak};

use usher_auth::wire::Frame;

use crate::flusher::{Flusher, Outlet};

/// How frames get from the connection to its client.
pub(crate) enum Way {
    /// The connection's task takes them from the mailbox.
    Task,
    /// They are taken from the mailbox and written here, by the flusher, or by the task where the socket does not take everything.
    Flushed(Arc<Flusher>, Weak<dyn Outlet>),
    /// They go at once into the session that writes them.
    Session(Box<dyn SessionQueue>),
}

/// The queue of a session that writes by itself.
pub(crate) trait SessionQueue: Send + Sync {
    /// Queues a frame if no more than `most` bytes wait then; whether it has. One that has ended takes what comes and drops it.
    fn push(&self, frame: &Frame, most: usize) -> bool;

    /// Drops what is queued and not begun.
    fn discard(&self);

    /// Bytes that wait to be written.
    fn bytes(&self) -> usize;
}
