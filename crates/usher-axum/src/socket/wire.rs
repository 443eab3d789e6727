//! A byte stream to which the frames of one connection are written, by its task and by the flusher.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::AsyncWrite;
use usher_auth::wire::Frame;

use crate::flusher::Outlet;
use crate::mailbox::{ConnectionHandle, Taken};
use crate::sync::{Mutex, MutexGuard};

/// Most pieces in one write.
const MAX_SLICES: usize = 64;

/// The lock is held while frames are taken from the mailbox and until they are written or given back, so that they leave in order
/// whoever writes them. Never held over an await.
pub(crate) struct SharedWire<IO>(Mutex<Wire<IO>>);

pub(crate) struct Wire<IO> {
    pub(crate) io: IO,
    begun: Begun,
    /// The connection's task is about to write, or waits until it can.
    left_to_task: bool,
}

/// A frame that is written in part. It is not in the queue any more, so nothing takes it back; its bytes still count there.
#[derive(Default)]
struct Begun {
    frame: Option<Frame>,
    written: usize,
}

impl Begun {
    fn left(&self) -> &[u8] {
        self.frame.as_ref().map_or(&[], |frame| &frame.as_websocket()[self.written..])
    }
}

impl<IO> SharedWire<IO> {
    /// Over `io`, to which the rest of the handshake is written first, if there is any: without it there is no WebSocket.
    pub(crate) fn new(io: IO, handshake: &[u8]) -> Self {
        let frame = (!handshake.is_empty()).then(|| Frame::ready(handshake));
        let begun = Begun { frame, written: 0 };
        Self(Mutex::new(Wire { io, begun, left_to_task: false }))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Wire<IO>> {
        self.0.lock()
    }
}

impl<IO: AsyncWrite + Unpin> SharedWire<IO> {
    /// For the connection's task: writes what is queued for `handle` until nothing is, and is ready when all of it has left. What comes
    /// during a write goes into the next.
    pub(crate) fn poll_write_queued(
        &self,
        handle: &ConnectionHandle,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let mut wire = self.lock();
        // What is delivered meanwhile is left to us.
        wire.left_to_task = true;
        while let Some(mut taken) = handle.take_queued() {
            let polled = wire.poll_write(&mut taken, context);
            let more = handle.give_back(taken, wire.begun.left().len());
            ready!(polled)?;
            if !more {
                break;
            }
        }
        ready!(Pin::new(&mut wire.io).poll_flush(context))?;
        wire.left_to_task = false;
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> Wire<IO> {
    /// Writes what was begun and then the frames, several in one write, until nothing is left. A shared frame is written from where it is:
    /// nothing is copied.
    fn poll_write(&mut self, taken: &mut Taken, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let begun = self.begun.frame.is_some().then(|| self.begun.left());
            let pieces = begun.into_iter().chain(taken.frames.iter().map(Frame::as_websocket));
            let mut count = 0;
            for (slice, piece) in slices.iter_mut().zip(pieces) {
                *slice = IoSlice::new(piece);
                count += 1;
            }
            let io = Pin::new(&mut self.io);
            let written = match &slices[..count] {
                [] => return Poll::Ready(Ok(())),
                // Most are alone, and a write of one piece takes a shorter way through the kernel.
                [one] => ready!(io.poll_write(context, one))?,
                several => ready!(io.poll_write_vectored(context, several))?,
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            taken.bytes -= written;
            self.advance(&mut taken.frames, written);
        }
    }

    fn advance(&mut self, frames: &mut VecDeque<Frame>, mut written: usize) {
        let left = self.begun.left().len();
        if written < left {
            self.begun.written += written;
            return;
        }
        written -= left;
        self.begun = Begun::default();
        while written > 0
            && let Some(first) = frames.pop_front()
        {
            if written < first.len() {
                self.begun = Begun { frame: Some(first), written };
                return;
            }
            written -= first.len();
        }
    }
}

impl<IO: AsyncWrite + Unpin + Send> Outlet for SharedWire<IO> {
    fn flush(&self, handle: &ConnectionHandle, scratch: &mut VecDeque<Frame>) -> bool {
        let Some(mut wire) = self.0.try_lock() else { return true };
        if wire.left_to_task {
            // Behind that, and the task looks into the mailbox when it has written it.
            handle.is_not_due();
            return false;
        }
        // Without any the task was quicker, or has shut it: it may be waiting for the stream, and its waker must stay there.
        let Some(mut taken) = handle.take_due(scratch) else { return false };
        // No task is to be woken here: the task leaves its own waker where it cannot write, either.
        let mut context = Context::from_waker(Waker::noop());
        let written = matches!(wire.poll_write(&mut taken, &mut context), Poll::Ready(Ok(())));
        if written && Pin::new(&mut wire.io).poll_flush(&mut context).is_ready() {
            if taken.piped {
                handle.all_written();
            }
            *scratch = taken.frames;
            return false;
        }
        // An error comes again when the task writes.
        wire.left_to_task = true;
        handle.give_back(taken, wire.begun.left().len());
        true
    }

    fn settle(&self) {
        drop(self.0.lock());
    }
}
