//! A byte stream of which no more is read than its session may still send.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::session::Live;

/// The stream. Reading past the limit is an error of the kind [`io::ErrorKind::QuotaExceeded`]; before anything is made of what came,
/// so that a stranger cannot have a message of any size kept for them.
pub(super) struct Metered {
    io: TokioIo<Upgraded>,
    live: Arc<Live>,
}

impl Metered {
    pub(super) fn new(io: TokioIo<Upgraded>, live: Arc<Live>) -> Self {
        Self { io, live }
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let left = self.live.input_left();
        if left == usize::MAX {
            return Pin::new(&mut self.io).poll_read(context, buffer);
        }
        if left == 0 {
            return Poll::Ready(Err(io::ErrorKind::QuotaExceeded.into()));
        }
        let most = left.min(buffer.remaining());
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(most));
        ready!(Pin::new(&mut self.io).poll_read(context, &mut part))?;
        let count = part.filled().len();
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
