//! Bytes from a socket: many at once, given on in small pieces.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};

/// Most bytes of one read. They are read onto the stack, so that a connection which sends nothing owns no such buffer.
const READ_AT_ONCE: usize = 8 * 1024;

/// What comes in.
#[derive(Debug)]
pub(super) struct Input {
    /// Bytes that may still come, counted before anything is made of them.
    pub(super) left: usize,
    /// Whether any came since this was last asked.
    pub(super) heard: bool,
    /// What was read and not given on yet, from `given` on.
    ahead: Vec<u8>,
    given: usize,
}

impl Default for Input {
    fn default() -> Self {
        Self { left: usize::MAX, heard: false, ahead: Vec::new(), given: 0 }
    }
}

impl Input {
    /// Fills `bytes` from the start, at least in part: with what was read ahead, else with what `io` has. As [`io::Read::read`]: an
    /// error of kind `WouldBlock` where there is nothing yet, and 0 at the end. One of kind `QuotaExceeded` if no more may come.
    pub(super) fn read<IO: AsyncRead + Unpin>(
        &mut self,
        bytes: &mut [u8],
        io: &mut IO,
        context: &mut Context<'_>,
    ) -> io::Result<usize> {
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
        let (now, later) = read.split_at(read.len().min(bytes.len()));
        bytes[..now.len()].copy_from_slice(now);
        if !later.is_empty() {
            self.ahead = later.to_vec();
        }
        Ok(now.len())
    }

    fn give(&mut self, bytes: &mut [u8]) -> usize {
        let ahead = &self.ahead[self.given..];
        let count = ahead.len().min(bytes.len());
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
            let mut input = Input { left: 300, ..Input::default() };
            let (came, end) = read_all(&mut input, &[7; 1_000], piece);
            assert_eq!((came.len(), end.map_err(|error| error.kind())), (300, Err(io::ErrorKind::QuotaExceeded)));
        }
    }
}
