//! Bytes from a socket: many at once, given on in small pieces.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum_sockjs::Fragments;
use tokio::io::{AsyncRead, ReadBuf};

/// Most bytes of one read. They are read onto the stack, so that a connection which sends nothing owns no such buffer.
const READ_AT_ONCE: usize = 8 * 1024;

/// What comes in.
#[derive(Debug)]
pub(super) struct Input {
    /// Bytes that may still come, counted before anything is made of them.
    left: usize,
    /// Whether any came since this was last asked.
    pub(super) heard: bool,
    /// What was read and not given on yet, from `given` on.
    ahead: Vec<u8>,
    given: usize,
    fragments: Fragments,
    /// What was given on last ends a frame that a later one continues, and this has not been asked about.
    fragment: bool,
}

impl Default for Input {
    fn default() -> Self {
        let fragments = Fragments::default();
        Self { left: usize::MAX, heard: false, ahead: Vec::new(), given: 0, fragments, fragment: false }
    }
}

impl Input {
    /// With what was read before.
    pub(super) fn beginning_with(ahead: &[u8]) -> Self {
        Self { ahead: ahead.to_vec(), ..Self::default() }
    }

    /// From now on at most `bytes` may come, those that have been read and not given on among them.
    pub(super) fn limit(&mut self, bytes: usize) {
        let ahead = self.ahead.len() - self.given;
        self.left = if bytes == usize::MAX { bytes } else { bytes.saturating_sub(ahead) };
    }

    /// Whether what was given on last ends a frame that a later one continues; once for each such frame, and nothing is given on before it
    /// is asked.
    pub(super) fn take_fragment(&mut self) -> bool {
        std::mem::take(&mut self.fragment)
    }

    /// Fills `bytes` from the start, at least in part: with what was read ahead, else with what `io` has. As [`io::Read::read`]: an
    /// error of kind `WouldBlock` where there is nothing yet, and 0 at the end. One of kind `QuotaExceeded` if no more may come.
    ///
    /// What is given on ends with a frame that a later one continues, if there is one in it; then the next is a `WouldBlock`.
    pub(super) fn read<IO: AsyncRead + Unpin>(
        &mut self,
        bytes: &mut [u8],
        io: &mut IO,
        context: &mut Context<'_>,
    ) -> io::Result<usize> {
        if self.fragment {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if self.given < self.ahead.len() {
            return Ok(self.give(bytes));
        }
        if self.left == 0 {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        let mut stack = [MaybeUninit::uninit(); READ_AT_ONCE];
        let most = self.left.min(READ_AT_ONCE);
        let mut buffer = ReadBuf::uninit(&mut stack[..most]);
        match Pin::new(io).poll_read(context, &mut buffer) {
            Poll::Ready(result) => result?,
            Poll::Pending => return Err(io::ErrorKind::WouldBlock.into()),
        }
        let read = buffer.filled();
        self.heard |= !read.is_empty();
        if self.left != usize::MAX {
            self.left -= read.len();
        }
        let most = read.len().min(bytes.len());
        let fragment = self.fragments.take_one(&read[..most]);
        self.fragment = fragment.is_some();
        let (now, later) = read.split_at(fragment.unwrap_or(most));
        bytes[..now.len()].copy_from_slice(now);
        if !later.is_empty() {
            self.ahead = later.to_vec();
        }
        Ok(now.len())
    }

    fn give(&mut self, bytes: &mut [u8]) -> usize {
        let ahead = &self.ahead[self.given..];
        let most = ahead.len().min(bytes.len());
        let fragment = self.fragments.take_one(&ahead[..most]);
        self.fragment = fragment.is_some();
        let count = fragment.unwrap_or(most);
        bytes[..count].copy_from_slice(&ahead[..count]);
        self.given += count;
        if self.given == self.ahead.len() {
            (self.ahead, self.given) = (Vec::new(), 0);
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// All that is there, in pieces of at most `piece` bytes; what stopped it.
    fn read_all(input: &mut Input, mut io: &[u8], piece: usize) -> (Vec<u8>, io::Result<usize>) {
        let mut context = Context::from_waker(Waker::noop());
        let (mut all, mut bytes) = (Vec::new(), vec![0; piece]);
        loop {
            match input.read(&mut bytes, &mut io, &mut context) {
                Ok(count @ 1..) => all.extend_from_slice(&bytes[..count]),
                Err(_) if input.take_fragment() => {}
                end => return (all, end),
            }
        }
    }

    #[test]
    fn everything_comes_in_order_whatever_the_pieces() {
        let sent: Vec<u8> = (0..40_000_u32).map(|number| u8::try_from(number % 251).expect("less")).collect();
        for piece in [1, 7, 128, READ_AT_ONCE, 100_000] {
            let mut input = Input::default();
            let (came, end) = read_all(&mut input, &sent, piece);
            assert!(came == sent && matches!(end, Ok(0)), "{piece}");
            assert!(input.heard && input.ahead.capacity() == 0, "{piece}: nothing is kept");
        }
    }

    #[test]
    fn no_more_comes_than_may() {
        // req E2
        for piece in [1, 100, 1_000] {
            let mut input = Input::beginning_with(&[7; 100]);
            input.limit(300);
            let (came, end) = read_all(&mut input, &[7; 1_000], piece);
            assert_eq!((came.len(), end.map_err(|error| error.kind())), (300, Err(io::ErrorKind::QuotaExceeded)));
        }
    }

    #[test]
    fn each_frame_that_is_continued_is_told_of_before_more_is_given_on() {
        // req M11: an empty text frame without FIN, empty continuations, and the last of them.
        let (first, next, last) = ([1, 0x80, 0, 0, 0, 0], [0, 0x80, 0, 0, 0, 0], [0x80, 0x80, 0, 0, 0, 0]);
        let sent = [first, next, next, last].concat();
        for ahead in [0, 3, 6, 14, sent.len()] {
            let mut input = Input::beginning_with(&sent[..ahead]);
            let mut io = &sent[ahead..];
            let mut context = Context::from_waker(Waker::noop());
            let (mut given, mut told) = (0, Vec::new());
            let mut bytes = [0; 128];
            loop {
                match input.read(&mut bytes, &mut io, &mut context) {
                    Ok(0) => break,
                    Ok(count) => given += count,
                    Err(error) => {
                        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                        assert!(input.take_fragment());
                        told.push(given);
                    }
                }
            }
            assert_eq!((told, given), (vec![6, 12, 18], 24), "{ahead} bytes came before");
        }
    }
}
