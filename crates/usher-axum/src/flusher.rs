//! Writes what was delivered to many connections, in place of waking the task of each.
//!
//! A message to a room is put into the mailbox of every member, which then is due here. One task writes to one socket after the other;
//! as it runs after the task that published, messages that came together leave together. What cannot be written at once is
//! left to the connection's own task.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use usher_auth::wire::Frame;

use crate::ConnectionHandle;
use crate::sync::{Mutex, spawn, workers};

/// Connections that are written to before others get their turn.
const CHUNK: usize = 64;
/// Places that are kept when nothing is due.
const KEPT_CAPACITY: usize = 1024;

/// A connection's way out, for others than its task.
pub(crate) trait Outlet: Send + Sync {
    /// Writes at once what is queued for `handle`. `scratch` is empty before and after. Whether the connection's task must go on with
    /// it: because not everything could be written, or because somebody else is at it.
    fn flush(&self, handle: &ConnectionHandle, scratch: &mut VecDeque<Frame>) -> bool;

    /// Returns when nobody writes, or has written.
    fn settle(&self);
}

/// The connections that something was delivered to, and who writes it. Each is here at most once, so that they bound it.
#[derive(Default)]
pub(crate) struct Flusher {
    list: Mutex<List>,
}

#[derive(Default)]
struct List {
    due: VecDeque<Arc<ConnectionHandle>>,
    at_work: usize,
}

impl fmt::Debug for Flusher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Flusher(…)")
    }
}

impl Flusher {
    /// Something is queued for `handle`.
    pub(crate) fn add(self: &Arc<Self>, handle: Arc<ConnectionHandle>) {
        let mut list = self.list.lock();
        list.due.push_back(handle);
        if list.at_work == 0 {
            list.at_work = 1;
            drop(list);
            self.begin();
        }
    }

    /// One more task, which ends by itself when nothing is due: there is nothing to shut down.
    fn begin(self: &Arc<Self>) {
        let shift = Shift { flusher: self.clone(), chunk: Vec::new(), done: false };
        // Outside a runtime it is dropped, and the connections' own tasks write. Unconstrained, as a task may touch 128 sockets
        // before tokio has them all say that they are not ready.
        spawn(tokio::task::unconstrained(shift.work()));
    }

    /// Nobody writes any more.
    #[cfg(test)]
    pub(crate) fn is_at_rest(&self) -> bool {
        self.list.lock().at_work == 0
    }
}

/// One task that writes. It is counted until it is dropped.
struct Shift {
    flusher: Arc<Flusher>,
    chunk: Vec<Arc<ConnectionHandle>>,
    done: bool,
}

impl Shift {
    async fn work(mut self) {
        let most = workers();
        let mut scratch = VecDeque::new();
        self.take(most);
        while !self.chunk.is_empty() {
            while let Some(handle) = self.chunk.pop() {
                handle.flush(&mut scratch);
            }
            // Before others get their turn: were it at work still, it would write the first of what is published next alone.
            self.take(most);
            if !self.chunk.is_empty() {
                tokio::task::yield_now().await;
            }
        }
    }

    /// The next few. Looking for them and going off duty is one step, so that whoever adds one later finds nobody at work.
    fn take(&mut self, most: usize) {
        let mut list = self.flusher.list.lock();
        let count = list.due.len().min(CHUNK);
        if count == 0 {
            list.due.shrink_to(KEPT_CAPACITY);
            list.at_work -= 1;
            self.done = true;
            return;
        }
        // From the end of the chunk the first comes first.
        self.chunk.extend(list.due.drain(..count).rev());
        // For less another thread is not worth waking.
        if list.due.len() > CHUNK && list.at_work < most {
            list.at_work += 1;
            drop(list);
            self.flusher.begin();
        }
    }
}

/// A runtime that ends drops its tasks: what is due then is left to the connections' own.
impl Drop for Shift {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let mut list = self.flusher.list.lock();
        list.at_work -= 1;
        let left = if list.at_work == 0 { std::mem::take(&mut list.due) } else { VecDeque::new() };
        drop(list);
        for handle in self.chunk.drain(..).chain(left) {
            handle.leave_to_task();
        }
    }
}
