//! WebSocket frames over a byte stream: tungstenite reads and answers control frames, we write.
//!
//! tungstenite is handed a stream whose writes only queue, so that its control frames and our shared frames wait in one queue, leave in
//! one order and in one vectored write.

use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tungstenite::error::ProtocolError;
use tungstenite::protocol::frame::CloseFrame;
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Error, Message, Utf8Bytes};
use usher_auth::connection::{InputLimits, Violation};
use usher_auth::wire::Frame;

use super::input::Input;
use super::wire::SharedWire;
use super::{Incoming, Transport};
use crate::ConnectionHandle;
use crate::flusher::{Flusher, Outlet};
use crate::way::Way;

/// Read buffer of a connection that has sent nothing longer. tungstenite's default of 128 KiB would be its whole cost; that it is small
/// costs no more reads, because [`Input`] reads more at once.
const READ_BUFFER_BYTES: usize = 128;

/// Bytes beside its messages that a waiting socket may send: frame headers, and a few pings (req E2).
const OVERHEAD_BYTES: usize = 1024;

/// Frames of the peer that are looked at after our close frame, for its own among them. A peer that sends more is drained without a look:
/// a flood of small frames would keep a thread busy.
const FRAMES_AFTER_CLOSE: u32 = 100;

/// One WebSocket.
pub(crate) struct WebSocket<IO> {
    wire: Arc<SharedWire<IO>>,
    websocket: WebSocketContext,
    /// Nothing that comes is looked at any more.
    draining: bool,
    /// Once our close frame is queued: how many frames are looked at still.
    after_close: Option<u32>,
    half_closed: bool,
    input: Input,
    handshake_bytes: usize,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> WebSocket<IO> {
    /// Over `io`, of which `read_ahead` was read with the upgrade request, and to which `answer`, if it is not empty, must be written
    /// first.
    pub(crate) fn new(io: IO, read_ahead: &[u8], answer: &[u8], limits: InputLimits) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(limits.message))
            .max_frame_size(Some(limits.message));
        let mut input = Input::beginning_with(read_ahead);
        input.limit(total_of(limits));
        Self {
            wire: Arc::new(SharedWire::new(io, answer)),
            websocket: WebSocketContext::new(Role::Server, Some(config)),
            draining: false,
            after_close: None,
            half_closed: false,
            input,
            handshake_bytes: answer.len(),
        }
    }

    /// Reads and drops, so that the peer gets our close frame and not a reset for bytes we left unread.
    fn poll_drain(&mut self, context: &mut Context<'_>) -> Poll<Incoming> {
        let mut scratch = [0; 4096];
        let mut wire = self.wire.lock();
        loop {
            let mut buffer = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(&mut wire.io).poll_read(context, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                _ => return Poll::Ready(Incoming::Closed),
            }
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin + Send + 'static> Transport for WebSocket<IO> {
    fn set_limits(&mut self, limits: InputLimits) {
        self.websocket.set_config(|config| {
            config.max_message_size = Some(limits.message);
            config.max_frame_size = Some(limits.message);
        });
        self.input.limit(total_of(limits));
    }

    fn take_heard(&mut self) -> bool {
        std::mem::take(&mut self.input.heard)
    }

    fn handshake_bytes(&self) -> usize {
        self.handshake_bytes
    }

    fn way(&self, flusher: &Arc<Flusher>) -> Way {
        let wire = Arc::downgrade(&self.wire);
        Way::Flushed(flusher.clone(), wire as Weak<dyn Outlet>)
    }

    fn ping(&mut self, handle: &ConnectionHandle) {
        // The stream only queues, and a socket that is closed needs no ping.
        let _ = self.websocket.write(&mut QueueOnly { handle }, Message::Ping(bytes::Bytes::new()));
    }

    fn close(&mut self, handle: &ConnectionHandle, code: u16, reason: &str) {
        let frame = CloseFrame { code: code.into(), reason: Utf8Bytes::from(reason) };
        // The stream only queues: the one way this can fail is that the socket is closed already.
        let _ = self.websocket.close(&mut QueueOnly { handle }, Some(frame));
        self.after_close = Some(FRAMES_AFTER_CLOSE);
    }

    fn poll_flush(
        &mut self,
        handle: &ConnectionHandle,
        context: &mut Context<'_>,
        closing: bool,
    ) -> Poll<io::Result<()>> {
        ready!(self.wire.poll_write_queued(handle, context))?;
        if closing && !self.half_closed {
            ready!(Pin::new(&mut self.wire.lock().io).poll_shutdown(context))?;
            self.half_closed = true;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_incoming(&mut self, handle: &ConnectionHandle, context: &mut Context<'_>) -> Poll<Incoming> {
        if self.draining {
            return self.poll_drain(context);
        }
        let mut wire = self.wire.lock();
        let mut stream = Stream { io: &mut wire.io, handle, input: &mut self.input, context };
        let incoming = loop {
            let incoming = match self.websocket.read(&mut stream) {
                Ok(Message::Text(text)) => Incoming::Text(text),
                Ok(Message::Ping(_) | Message::Pong(_)) => Incoming::Control,
                Ok(Message::Frame(_)) => continue,
                Ok(Message::Close(_)) => {
                    let _ = self.websocket.flush(&mut stream);
                    return Poll::Ready(Incoming::Closed);
                }
                Ok(Message::Binary(bytes)) => Incoming::Binary(bytes),
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !stream.input.take_fragment() {
                        return Poll::Pending;
                    }
                    Incoming::Control
                }
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::QuotaExceeded => {
                    Incoming::Violation(Violation::TooBig)
                }
                Err(Error::Capacity(_)) => Incoming::Violation(Violation::TooBig),
                Err(Error::Utf8(_)) => Incoming::Violation(Violation::InvalidUtf8),
                Err(Error::Protocol(error)) if error != ProtocolError::ResetWithoutClosingHandshake => {
                    Incoming::Violation(Violation::Protocol)
                }
                Err(_) => return Poll::Ready(Incoming::Closed),
            };
            match &mut self.after_close {
                None | Some(0) => break incoming,
                Some(_) if matches!(incoming, Incoming::Violation(_)) => break incoming,
                Some(left) => *left -= 1,
            }
        };
        if self.after_close.is_some() {
            drop(wire);
            self.draining = true;
            return self.poll_drain(context);
        }
        // tungstenite has taken the header of a frame it refused; going on would read its payload without a limit.
        self.draining = matches!(incoming, Incoming::Violation(_));
        Poll::Ready(incoming)
    }
}

/// Bytes that may come with the messages that may.
fn total_of(limits: InputLimits) -> usize {
    limits.total.map_or(usize::MAX, |total| total + OVERHEAD_BYTES)
}

/// What tungstenite reads from and writes to: reads come from the socket, writes go to the queue.
struct Stream<'a, 'c, IO> {
    io: &'a mut IO,
    handle: &'a ConnectionHandle,
    input: &'a mut Input,
    context: &'a mut Context<'c>,
}

impl<IO: AsyncRead + Unpin> Read for Stream<'_, '_, IO> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.input.read(bytes, self.io, self.context)
    }
}

impl<IO> Write for Stream<'_, '_, IO> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.handle.say(&Frame::ready(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// For writing alone.
struct QueueOnly<'a> {
    handle: &'a ConnectionHandle,
}

impl Read for QueueOnly<'_> {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

impl Write for QueueOnly<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.handle.say(&Frame::ready(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
