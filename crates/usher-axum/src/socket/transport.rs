//! What the task of a connection asks of the way its frames go.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tungstenite::Utf8Bytes;
use usher_auth::connection::{InputLimits, Violation};
use usher_auth::wire::Mistake;

use crate::ConnectionHandle;
use crate::flusher::Flusher;
use crate::way::Way;

/// The way frames of one connection go. All methods are called from the connection's task. A transport queues nothing itself: what is to
/// be written, also its own control frames, goes into the queue of the connection's handle.
pub(crate) trait Transport: Send + 'static {
    /// What may come from now on. A transport is made with the limits of its beginning.
    fn set_limits(&mut self, limits: InputLimits);

    /// Whether anything came since this was last asked.
    fn take_heard(&mut self) -> bool;

    /// Bytes of the handshake that are still to be written.
    fn handshake_bytes(&self) -> usize {
        0
    }

    /// How frames get from the queue to the peer.
    fn way(&self, flusher: &Arc<Flusher>) -> Way;

    /// Asks the peer for a sign of life, where that is this transport's way.
    fn ping(&mut self, handle: &ConnectionHandle);

    /// The connection is not authenticated any more: its requests need not bring the credential that was presented.
    fn forget_presenter(&mut self) {}

    /// It has ended, and is not to be remembered for a peer that comes later.
    fn forget_ended(&mut self) {}

    /// Queues the close.
    fn close(&mut self, handle: &ConnectionHandle, code: u16, reason: &str);

    /// Writes everything queued, and is ready when it is written; in closing, ends our side after it.
    fn poll_flush(
        &mut self,
        handle: &ConnectionHandle,
        context: &mut Context<'_>,
        closing: bool,
    ) -> Poll<io::Result<()>>;

    /// The next message, violation, or the end.
    fn poll_incoming(&mut self, handle: &ConnectionHandle, context: &mut Context<'_>) -> Poll<Incoming>;
}

/// What came in.
pub(crate) enum Incoming {
    /// A text message.
    Text(Utf8Bytes),
    /// A binary message.
    Binary(Bytes),
    /// A text in which the transport found no message.
    Misframed(Mistake, String),
    /// A frame that brings no message: a ping, a pong, or one that a later frame continues. A ping's answer is queued.
    Control,
    /// Something that may not come. From here on input is read and dropped.
    Violation(Violation),
    /// The peer's close frame, or the end of the stream.
    Closed,
}
