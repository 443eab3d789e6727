//! A byte stream with what waits to be written to it. The connection's task and the flusher share it.

use std::pin::Pin;
use std::task::{Context, Waker};

use tokio::io::AsyncWrite;
use usher_auth::wire::Frame;

use super::out_queue::OutQueue;
use crate::ConnectionHandle;
use crate::flusher::Outlet;
use crate::sync::{Mutex, MutexGuard};

/// The lock is held while frames are taken from the mailbox and until they are written or queued, so that they leave in order
/// whoever writes them. Never held over an await.
pub(super) struct SharedWire<IO>(Mutex<Wire<IO>>);

pub(super) struct Wire<IO> {
    pub(super) io: IO,
    /// Unless it is empty, the connection's task is about to write it or waits until it can.
    pub(super) out: OutQueue,
}

impl<IO> SharedWire<IO> {
    /// Over `io`, to which `out` is written first.
    pub(super) fn new(io: IO, out: OutQueue) -> Self {
        Self(Mutex::new(Wire { io, out }))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Wire<IO>> {
        self.0.lock()
    }
}

impl<IO: AsyncWrite + Unpin + Send> Outlet for SharedWire<IO> {
    fn flush(&self, handle: &ConnectionHandle, scratch: &mut Vec<Frame>) -> bool {
        let Some(mut wire) = self.0.try_lock() else { return true };
        if wire.out.bytes() > 0 {
            // Behind that, and the task looks into the mailbox when it has written it.
            handle.is_not_due();
            return false;
        }
        handle.take_due(scratch);
        if scratch.is_empty() {
            // The task was quicker, or has shut it: it may be waiting for the stream, and its waker must stay there.
            return false;
        }
        let Wire { io, out } = &mut *wire;
        // Nobody is to be woken here: the task leaves its own waker where it cannot write, either.
        let mut context = Context::from_waker(Waker::noop());
        let written = out.poll_write_through(scratch, io, &mut context);
        !(written && Pin::new(io).poll_flush(&mut context).is_ready())
    }

    fn settle(&self) {
        drop(self.0.lock());
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, IoSlice};
    use std::sync::Arc;
    use std::task::Poll;

    use usher_auth::ids::ConnectionId;

    use super::*;
    use crate::flusher::Flusher;

    /// Counts what is written to it.
    #[derive(Default)]
    struct Sink {
        bytes: usize,
        writes: usize,
    }

    impl AsyncWrite for Sink {
        fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            self.poll_write_vectored(context, &[IoSlice::new(bytes)])
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            slices: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let written = slices.iter().map(|slice| slice.len()).sum();
            self.bytes += written;
            self.writes += 1;
            Poll::Ready(Ok(written))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// How often memory is allocated while `frames` go to each of `members`, from the mailbox to the socket.
    fn allocations(members: u64, frames: usize) -> u64 {
        let flusher = Arc::new(Flusher::default());
        let (wires, handles): (Vec<_>, Vec<_>) = (0..members)
            .map(|number| {
                let wire = Arc::new(SharedWire::new(Sink::default(), OutQueue::default()));
                let outlet = Arc::downgrade(&(wire.clone() as Arc<dyn Outlet>));
                let handle =
                    ConnectionHandle::new(ConnectionId::from_random(u128::from(number).to_be_bytes()), 1 << 20);
                (wire, Arc::new(handle.flushed_by(&flusher, Some(outlet))))
            })
            .unzip();
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let frame = Frame::json(&"hello");
        let publish = || {
            runtime.block_on(async {
                for _ in 0..frames {
                    for handle in &handles {
                        handle.deliver(&frame);
                    }
                }
                while !flusher.is_at_rest() {
                    tokio::task::yield_now().await;
                }
            });
        };
        // The first time each mailbox gets the places that it keeps.
        publish();
        let allocated = allocation_counter::measure(publish).count_total;
        for wire in wires {
            let Wire { io, out } = &*wire.lock();
            assert_eq!(
                (io.bytes, io.writes, out.bytes()),
                (2 * frames * frame.len(), 2, 0),
                "two writes of everything"
            );
        }
        allocated
    }

    #[test]
    fn a_message_costs_as_many_allocations_for_a_thousand_as_for_ten() {
        for frames in [1, 16] {
            let [few, many] = [10, 1000].map(|members| allocations(members, frames));
            assert_eq!(few, many, "{frames} frames");
            assert!((1..=8).contains(&few), "the task, a chunk, and what is written: {few}");
        }
    }

    /// As TLS does: takes what is written, and has not flushed it.
    #[derive(Default)]
    struct Unflushed {
        waiting: Option<Waker>,
    }

    impl AsyncWrite for Unflushed {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.waiting = Some(context.waker().clone());
            Poll::Pending
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn a_flusher_that_comes_while_the_end_is_flushed_leaves_the_tasks_waker_there() {
        let flusher = Arc::new(Flusher::default());
        let wire = Arc::new(SharedWire::new(Unflushed::default(), OutQueue::default()));
        let outlet = Arc::downgrade(&(wire.clone() as Arc<dyn Outlet>));
        let handle = ConnectionHandle::new(ConnectionId::from_random([1; 16]), 1 << 20);
        let handle = Arc::new(handle.flushed_by(&flusher, Some(outlet)));
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let task = Waker::from(Arc::new(Task));
        runtime.block_on(async {
            // Due at the flusher, which has not come yet; and then the end, of which the task waits to see the last flushed.
            handle.deliver(&Frame::json(&"hello"));
            handle.shut();
            let mut context = Context::from_waker(&task);
            assert!(Pin::new(&mut wire.lock().io).poll_flush(&mut context).is_pending());
            while !flusher.is_at_rest() {
                tokio::task::yield_now().await;
            }
        });
        assert!(wire.lock().io.waiting.as_ref().is_some_and(|waiting| waiting.will_wake(&task)));
    }

    struct Task;

    impl std::task::Wake for Task {
        fn wake(self: Arc<Self>) {}
    }
}
