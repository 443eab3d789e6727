//! What the task of a connection asks of the way its frames go.

use std::io;
use std::sync::Weak;
use std::task::{Context, Poll};

use tungstenite::Utf8Bytes;
use usher_auth::connection::Violation;
use usher_auth::wire::{Frame, Mistake};

use crate::ConnectionHandle;
use crate::flusher::Outlet;

/// The way frames of one connection go. All methods are called from the connection's task.
pub(crate) trait Transport: Send + 'static {
    /// Largest message from now on, in bytes.
    fn set_message_limit(&mut self, limit: usize);

    /// From now on at most `bytes` may come, with what is round the messages; more is a violation.
    fn limit_input(&mut self, bytes: usize);

    /// Whether anything came since this was last asked.
    fn take_heard(&mut self) -> bool;

    /// Asks the peer for a sign of life, where that is this transport's way.
    fn ping(&mut self);

    /// Bytes that wait to be written.
    fn queued_bytes(&self) -> usize;

    /// Queues a frame. Nothing of it is begun before [`Transport::poll_flush`].
    fn send(&mut self, frame: Frame);

    /// Queues what is in the connection's mailbox; whether there was anything.
    fn send_queued(&mut self, handle: &ConnectionHandle) -> bool {
        handle.drain(|frame| self.send(frame))
    }

    /// Where others than the connection's task may write, if they may.
    fn outlet(&self) -> Option<Weak<dyn Outlet>> {
        None
    }

    /// Drops what is queued and not begun.
    fn discard_queued(&mut self);

    /// What does the same from elsewhere, for what this transport holds beyond its task.
    fn discard(&self) -> Option<Box<dyn Fn() + Send + Sync>> {
        None
    }

    /// Nobody is in any more: the peer need not be recognised by what the last one presented.
    fn forget_presenter(&mut self) {}

    /// Queues the close.
    fn close(&mut self, code: u16, reason: &str);

    /// Begins to write everything queued, and is ready when it is written; in closing, ends our side after it.
    fn poll_flush(&mut self, context: &mut Context<'_>, closing: bool) -> Poll<io::Result<()>>;

    /// The last writes before the transport is dropped.
    fn poll_finish(&mut self, context: &mut Context<'_>) -> Poll<()>;

    /// The next message, violation, or the end.
    fn poll_incoming(&mut self, context: &mut Context<'_>) -> Poll<Incoming>;
}

/// What came in.
pub(crate) enum Incoming {
    /// A text message.
    Text(Utf8Bytes),
    /// A text that is not wrapped as the transport wraps messages.
    Unwrapped(Mistake, String),
    /// A ping or a pong. A ping's answer is queued.
    Control,
    /// Something that may not come. From here on input is read and dropped.
    Violation(Violation),
    /// The peer's close frame, or the end of the stream.
    Closed,
}
