//! What waits to be written: shared frames and our own control frames, taken into as few writes as may be.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;
use usher_auth::wire::Frame;

/// Most pieces in one write.
const MAX_SLICES: usize = 64;
/// Places that are kept when the queue has run empty: a connection at rest owns little.
const KEPT_CAPACITY: usize = 4;

/// Bytes in order. A shared frame is written from where it is: nothing is copied.
#[derive(Debug, Default)]
pub(super) struct OutQueue {
    pieces: VecDeque<Piece>,
    /// How much of the first piece has been written.
    written: usize,
    bytes: usize,
}

#[derive(Debug)]
enum Piece {
    Shared(Frame),
    Own(Box<[u8]>),
    /// What comes before the first frame: without it there is no WebSocket.
    Handshake(Box<[u8]>),
}

impl Piece {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Shared(frame) => frame.as_websocket(),
            Self::Own(bytes) | Self::Handshake(bytes) => bytes,
        }
    }
}

impl OutQueue {
    /// With the rest of the handshake, if there is any.
    pub(super) fn beginning_with(handshake: Vec<u8>) -> Self {
        let mut queue = Self::default();
        if !handshake.is_empty() {
            queue.bytes = handshake.len();
            queue.pieces.push_back(Piece::Handshake(handshake.into()));
        }
        queue
    }

    pub(super) fn push_frame(&mut self, frame: Frame) {
        self.bytes += frame.len();
        self.pieces.push_back(Piece::Shared(frame));
    }

    pub(super) fn push_bytes(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len();
        self.pieces.push_back(Piece::Own(bytes.into()));
    }

    /// Bytes not written yet.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Drops everything but the handshake and a piece that has been begun: a frame half written must be finished.
    pub(super) fn discard_unbegun(&mut self) {
        let handshake = matches!(self.pieces.front(), Some(Piece::Handshake(_)));
        self.pieces.truncate(usize::from(self.written > 0 || handshake));
        self.bytes = self.pieces.front().map_or(0, |piece| piece.bytes().len() - self.written);
    }

    /// Writes `frames` past the queue, which must be empty. What cannot be written at once is queued; whether nothing was. `frames`
    /// is empty then.
    pub(super) fn poll_write_through<IO: AsyncWrite + Unpin>(
        &mut self,
        frames: &mut Vec<Frame>,
        io: &mut IO,
        context: &mut Context<'_>,
    ) -> bool {
        debug_assert!(self.pieces.is_empty(), "frames would overtake others");
        let mut left = frames.drain(..);
        while !left.as_slice().is_empty() {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let (mut count, mut bytes) = (0, 0);
            for (slice, frame) in slices.iter_mut().zip(left.as_slice()) {
                *slice = IoSlice::new(frame.as_websocket());
                count += 1;
                bytes += slice.len();
            }
            let io = Pin::new(&mut *io);
            let written = match &slices[..count] {
                // Most are alone, and a write of one piece takes a shorter way through the kernel.
                [one] => io.poll_write(context, one),
                several => io.poll_write_vectored(context, several),
            };
            let written = match written {
                Poll::Ready(Ok(written)) => written,
                // An error comes again when the connection's task writes.
                Poll::Ready(Err(_)) | Poll::Pending => 0,
            };
            if written < bytes {
                left.for_each(|frame| self.push_frame(frame));
                self.advance(written);
                return false;
            }
            left.by_ref().take(count).for_each(drop);
        }
        true
    }

    /// Writes until nothing is left.
    pub(super) fn poll_write<IO: AsyncWrite + Unpin>(
        &mut self,
        io: &mut IO,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.pieces.is_empty() {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let mut count = 0;
            for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
                let skip = if count == 0 { self.written } else { 0 };
                *slice = IoSlice::new(&piece.bytes()[skip..]);
                count += 1;
            }
            let written = ready!(Pin::new(&mut *io).poll_write_vectored(context, &slices[..count]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(written);
        }
        if self.pieces.capacity() > KEPT_CAPACITY {
            self.pieces.shrink_to(KEPT_CAPACITY);
        }
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, written: usize) {
        self.bytes -= written;
        self.written += written;
        while let Some(first) = self.pieces.front() {
            let length = first.bytes().len();
            if self.written < length {
                break;
            }
            self.written -= length;
            self.pieces.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    /// Takes `step` bytes a write.
    struct Trickle {
        step: usize,
        taken: Vec<u8>,
    }

    impl AsyncWrite for Trickle {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            let count = bytes.len().min(self.step);
            self.taken.extend_from_slice(&bytes[..count]);
            Poll::Ready(Ok(count))
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            slices: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let all: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).take(self.step).collect();
            self.taken.extend_from_slice(&all);
            Poll::Ready(Ok(all.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn bytes_come_out_in_order_whatever_the_writer_takes() {
        for step in [1, 2, 3, 7, 1000] {
            let mut queue = OutQueue::default();
            let mut expected = Vec::new();
            for number in 0..100_u32 {
                let frame = Frame::json(&number);
                expected.extend_from_slice(frame.as_websocket());
                queue.push_frame(frame);
                queue.push_bytes(&[7, 7]);
                expected.extend_from_slice(&[7, 7]);
            }
            assert_eq!(queue.bytes(), expected.len());
            let mut writer = Trickle { step, taken: Vec::new() };
            let mut context = Context::from_waker(std::task::Waker::noop());
            assert!(matches!(queue.poll_write(&mut writer, &mut context), Poll::Ready(Ok(()))));
            assert_eq!(writer.taken, expected);
            assert_eq!(queue.bytes(), 0);
        }
    }

    #[test]
    fn what_is_not_written_through_at_once_is_queued() {
        for step in [1, 7, 9, 1000] {
            let mut queue = OutQueue::default();
            let mut frames: Vec<_> = (0..100_u32).map(|number| Frame::json(&number)).collect();
            let expected: Vec<u8> = frames.iter().flat_map(|frame| frame.as_websocket().to_vec()).collect();
            let mut writer = Trickle { step, taken: Vec::new() };
            let mut context = Context::from_waker(std::task::Waker::noop());
            assert_eq!(queue.poll_write_through(&mut frames, &mut writer, &mut context), step == 1000, "{step}");
            assert!(frames.is_empty());
            assert_eq!(queue.bytes(), expected.len() - writer.taken.len());
            assert!(matches!(queue.poll_write(&mut writer, &mut context), Poll::Ready(Ok(()))));
            assert_eq!(writer.taken, expected);
        }
    }

    #[test]
    fn only_the_begun_frame_survives_a_discard() {
        // req H4
        let mut queue = OutQueue::default();
        queue.push_frame(Frame::json(&"first"));
        queue.push_frame(Frame::json(&"second"));
        queue.advance(3);
        queue.discard_unbegun();
        assert_eq!((queue.pieces.len(), queue.bytes()), (1, Frame::json(&"first").len() - 3));
        queue.advance(queue.bytes());
        queue.push_frame(Frame::json(&"third"));
        queue.discard_unbegun();
        assert_eq!((queue.pieces.len(), queue.bytes()), (0, 0));
    }

    #[test]
    fn a_discard_leaves_the_handshake() {
        let mut queue = OutQueue::beginning_with(b"HTTP/1.1 101".to_vec());
        queue.push_frame(Frame::json(&"first"));
        queue.discard_unbegun();
        assert_eq!((queue.pieces.len(), queue.bytes()), (1, 12));
    }
}
