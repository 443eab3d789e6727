//! What a session's machine is made with, and what it and its receivers say to each other.

use std::time::Duration;

use crate::close::Close;
use crate::codec::Frame;

/// What a machine is made with.
#[derive(Clone, Debug)]
pub struct Rules {
    /// A receiver that was told nothing for this long is sent a heartbeat. One that did not even take that for as long again is
    /// taken for broken.
    pub heartbeat: Duration,
    /// How long a session lives without a receiver, and after its close.
    pub disconnect_delay: Duration,
    /// Bytes that may wait to be sent or be on their way into the network. One more ends the session and drops what waits.
    pub outbound_bytes: usize,
    /// Bytes that may wait for the application. A batch that does not fit waits outside, unless nothing is queued.
    pub inbound_bytes: usize,
    /// What the client is told when the outbound queue overflows.
    pub overflow: Close,
    /// Whether messages are SockJS frames or, on the raw WebSocket, the text itself.
    pub framed: bool,
    /// The application's task is woken when fewer bytes than these wait to be written, and not only when none do.
    pub read_again_below: usize,
}

/// One way of telling the client things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiverKind {
    /// Takes one frame and is done.
    Poll,
    /// As `Poll`, for JSONP: the frame is written as a script, which escapes characters.
    Script,
    /// Takes frames until the session or the answer ends.
    Stream,
    /// A WebSocket: the session lives and dies with it.
    Socket,
}

/// A receiver of this session. Old ones are never mistaken for new ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiverId(pub(super) u64);

/// The answer to a request to become the receiver.
#[derive(Debug, PartialEq, Eq)]
pub enum Attach {
    /// It is the receiver now.
    Receiver(ReceiverId),
    /// It is told this one frame, and is done.
    Answer(Frame),
}

/// How a receiver left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// All that it was handed was written.
    Finished,
    /// Its connection broke; what was on its way may be lost.
    Aborted,
    /// A WebSocket that the client closed.
    Closed(Option<u16>),
}

/// What a receiver does next.
#[derive(Debug, PartialEq, Eq)]
pub enum Transmit {
    /// Write this. After it a poll is done, as is everybody after a close frame.
    Frame(Frame),
    /// Nothing now.
    Wait,
    /// It is no receiver any more.
    Over,
}

/// What to do with messages that wait to be sent when the session is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsent {
    /// They go out before the close frame.
    Deliver,
    /// They are dropped now.
    Drop,
}
