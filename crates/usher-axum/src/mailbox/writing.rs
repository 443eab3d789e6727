//! Hands queued frames to the task that writes them, and takes back frames that could not be written.

use std::collections::VecDeque;
use std::sync::Arc;

use usher_auth::wire::Frame;

use super::{ConnectionHandle, Taken, wake};
use crate::flusher::Outlet;
use crate::way::Way;

impl ConnectionHandle {
    /// For the flusher: writes what is queued.
    pub(crate) fn flush(&self, scratch: &mut VecDeque<Frame>) {
        // Without an outlet there is no task any more.
        if let Some(outlet) = self.outlet()
            && outlet.flush(self, scratch)
        {
            self.leave_to_task();
        }
    }

    pub(super) fn outlet(&self) -> Option<Arc<dyn Outlet>> {
        match &self.way {
            Way::Flushed(_, outlet) => outlet.upgrade(),
            Way::Task | Way::Session(_) => None,
        }
    }

    /// For the flusher: takes all queued frames, in order, into the places of `scratch`, which is empty. `None` if there are none.
    pub(crate) fn take_due(&self, scratch: &mut VecDeque<Frame>) -> Option<Taken> {
        let mut mailbox = self.mailbox.lock();
        mailbox.due = false;
        if mailbox.frames.is_empty() {
            return None;
        }
        let mut frames = std::mem::take(scratch);
        frames.extend(mailbox.frames.drain(..));
        mailbox.shrink();
        Some(mailbox.taken(frames))
    }

    /// For the connection's task: takes all queued frames, in order, and what is written in part. `None` if there is neither.
    pub(crate) fn take_queued(&self) -> Option<Taken> {
        let mut mailbox = self.mailbox.lock();
        if mailbox.bytes == 0 {
            return None;
        }
        let frames = std::mem::take(&mut mailbox.frames);
        Some(mailbox.taken(frames))
    }

    /// Gives back what could not be written; `begun` bytes are left of a frame that was written in part. If the queue was dropped since it
    /// was taken, so is the rest. Whether there is more to write.
    ///
    /// What came meanwhile may be too much together with this: then the connection ends as a slow consumer.
    pub(crate) fn give_back(&self, taken: Taken, begun: usize) -> bool {
        let Taken { mut frames, bytes, discards, piped: _ } = taken;
        let mut mailbox = self.mailbox.lock();
        mailbox.begun = begun;
        if discards == mailbox.discards {
            mailbox.bytes += bytes;
            if !frames.is_empty() {
                frames.append(&mut mailbox.frames);
                mailbox.frames = frames;
            } else if mailbox.frames.capacity() == 0 {
                mailbox.frames = frames;
                mailbox.shrink();
            }
        } else {
            mailbox.bytes += begun;
            let farewell = usize::from(mailbox.farewell).saturating_sub(mailbox.frames.len());
            frames.drain(..frames.len().saturating_sub(farewell));
            mailbox.bytes += frames.iter().map(Frame::len).sum::<usize>();
            frames.append(&mut mailbox.frames);
            mailbox.frames = frames;
        }
        let waker =
            // A pipe counts what is being written before it sends more, and may send one frame that is larger than the bound.
            if mailbox.bytes > self.outbound_limit && !mailbox.shut && mailbox.pipe.is_none() {
                self.overflow(&mut mailbox)
            } else {
                None
            };
        let more = !mailbox.frames.is_empty();
        let sender = mailbox.written();
        drop(mailbox);
        wake(waker);
        wake(sender);
        more
    }

    /// For the flusher: the connection's task is at it already.
    pub(crate) fn is_not_due(&self) {
        self.mailbox.lock().due = false;
    }

    /// For the flusher: the connection's task must look what there is to write. It may have looked before somebody else let go of the
    /// way out, so it is woken.
    pub(crate) fn leave_to_task(&self) {
        let waker = {
            let mut mailbox = self.mailbox.lock();
            mailbox.due = false;
            mailbox.waker.take()
        };
        wake(waker);
    }
}
