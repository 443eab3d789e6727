//! A byte stream of which no more is read than its session may still send, and in which frames are counted that bring no message.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::fragments::Fragments;
use crate::session::Live;

/// The stream. Reading past the limit is an error of the kind [`io::ErrorKind::QuotaExceeded`]; before anything is made of what came,
/// so that a stranger cannot have a message of any size kept for them.
pub(super) struct Metered {
    io: TokioIo<Upgraded>,
    live: Arc<Live>,
    /// See [`Limits::empty_frames`](crate::Limits::empty_frames).
    most_empty_frames: usize,
    fragments: Fragments,
    /// Frames were counted: others get their turn before more is read, the session's application among them.
    yields: bool,
}

impl Metered {
    pub(super) fn new(io: TokioIo<Upgraded>, live: Arc<Live>, most_empty_frames: usize) -> Self {
        Self { io, live, most_empty_frames, fragments: Fragments::default(), yields: false }
    }

    fn count(&mut self, bytes: &[u8]) {
        let fragments = self.fragments.count(bytes);
        if fragments > 0 {
            self.live.count_empty_frames(fragments);
            self.yields = true;
        }
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.yields) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        ready!(self.live.poll_asked(self.most_empty_frames, context));
        let left = self.live.input_left();
        if left == usize::MAX {
            let before = buffer.filled().len();
            ready!(Pin::new(&mut self.io).poll_read(context, buffer))?;
            self.count(&buffer.filled()[before..]);
            return Poll::Ready(Ok(()));
        }
        if left == 0 {
            return Poll::Ready(Err(io::ErrorKind::QuotaExceeded.into()));
        }
        let most = left.min(buffer.remaining());
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(most));
        ready!(Pin::new(&mut self.io).poll_read(context, &mut part))?;
        let count = part.filled().len();
        self.count(part.filled());
        buffer.advance(count);
        // It may have been lifted meanwhile; then there is nothing to count.
        self.live.count_input(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Metered {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
