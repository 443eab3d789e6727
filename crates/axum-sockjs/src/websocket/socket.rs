//! The task of a WebSocket: carries frames between it and its session.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tungstenite::error::ProtocolError;
use tungstenite::protocol::frame::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Error, Message, Utf8Bytes};

use super::metered::Metered;
use crate::application::{Application, OnMalformed};
use crate::close::Close;
use crate::codec::{DecodeError, Frame, Wrapping, decode};
use crate::registry::Entry;
use crate::service::Inner;
use crate::session::machine::Left;
use crate::session::message::{Incoming, Malformed};
use crate::session::{Deliver, Receiver, Sending};
use crate::{Limits, Transport};

/// How long the peer's answer to our close frame is waited for, and what it still sends read and dropped, so that it sees the close
/// and no reset.
const LINGER: Duration = Duration::from_secs(1);
/// Bytes of a reason that fit a close frame (RFC 6455 §5.5: 125 with the code).
const MAX_REASON_BYTES: usize = 123;
/// Bytes read at once. tungstenite's default of 128 KiB would be most of what a connection costs.
const READ_BUFFER_BYTES: usize = 4 * 1024;

type Stream = WebSocketStream<Metered>;

struct Socket<'a, A: Application> {
    stream: Stream,
    /// A pong may wait to be written.
    unwritten_pong: bool,
    receiver: Receiver,
    service: &'a Inner<A>,
    entry: &'a Entry<A::Opener>,
    framed: bool,
}

/// How a socket ends.
enum End {
    /// The session is closed; the peer is told.
    Close(Close, Sending),
    /// The peer broke the rules, and is told once what it sent before is answered.
    Violation(Close),
    /// The peer closed it.
    Peer(Option<u16>),
    /// It broke, or takes nothing any more.
    Broken,
}

pub(super) async fn run<A: Application>(
    upgraded: Upgraded,
    service: &Arc<Inner<A>>,
    entry: &Entry<A::Opener>,
    receiver: Receiver,
    transport: Transport,
) {
    let framed = transport == Transport::Websocket;
    let Limits { message_bytes, request_bytes, empty_frames, .. } = service.config.limits;
    let limit = if framed { request_bytes } else { message_bytes };
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_message_size(Some(limit))
        .max_frame_size(Some(limit));
    let io = Metered::new(TokioIo::new(upgraded), entry.live.clone(), empty_frames);
    let stream = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
    Socket { stream, unwritten_pong: false, receiver, service, entry, framed }.run().await;
}

impl<A: Application> Socket<'_, A> {
    async fn run(mut self) {
        let mut inbound: Deliver = None;
        let end = loop {
            let waits = inbound.is_some();
            tokio::select! {
                sending = self.receiver.next() => match self.pass_on(sending).await {
                    Ok(()) => {}
                    Err(end) => break end,
                },
                message = next(&mut self.stream, &mut self.unwritten_pong), if !waits => match self.read(message) {
                    Ok(batch) => inbound = batch,
                    Err(end) => break end,
                },
                // Once the session has ended nothing is taken; the receiver above says why.
                _ = self.entry.live.deliver(&mut inbound), if waits => inbound = None,
            }
        };
        match end {
            End::Close(close, sending) => self.say_closed(&close, sending).await,
            End::Violation(close) => {
                self.entry.live.violated(&close);
                let answered = timeout(self.service.config.limits.inbound_wait, self.send_answers()).await;
                match answered {
                    // The application closed it itself, before it came to the violation.
                    Ok(End::Close(other, sending)) if other != close => self.say_closed(&other, sending).await,
                    // No `c[…]` before it: the protocol's suite wants nothing but the end.
                    Ok(End::Close(_, sending)) => {
                        self.close(&close, Some(sending)).await;
                        self.receiver.leave(Left::Finished);
                    }
                    Ok(_) | Err(_) => {
                        self.close(&close, None).await;
                        self.receiver.leave(Left::Aborted);
                    }
                }
            }
            End::Peer(code) => {
                self.receiver.leave(Left::Closed(code));
                // Tells the peer that its close frame was seen.
                let _ = timeout(LINGER, self.stream.flush()).await;
            }
            End::Broken => self.receiver.leave(Left::Aborted),
        }
    }

    /// Writes what the session has for the peer, until it is closed or broken.
    async fn send_answers(&mut self) -> End {
        loop {
            let sending = self.receiver.next().await;
            if let Err(end) = self.pass_on(sending).await {
                return end;
            }
        }
    }

    /// Writes what the session has for the peer. An error is the session's end.
    async fn pass_on(&mut self, sending: Option<Sending>) -> Result<(), End> {
        // Without one the session died of something else, a receiver that took nothing, say.
        let sending = sending.ok_or(End::Broken)?;
        match &sending.frame {
            Frame::Close(close) => Err(End::Close(close.clone(), sending)),
            frame => self.write(frame).await,
        }
    }

    /// Tells the peer that the session is closed.
    async fn say_closed(&mut self, close: &Close, sending: Sending) {
        let farewell = Message::text(sending.frame.to_text());
        if self.framed && self.send(farewell).await.is_err() {
            return self.receiver.leave(Left::Aborted);
        }
        self.close(close, Some(sending)).await;
        self.receiver.leave(Left::Finished);
    }

    /// What a message of the peer holds for the application; `None` if nothing.
    fn read(&mut self, message: Option<Result<Message, Error>>) -> Result<Deliver, End> {
        let text = match message {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Close(frame))) => return Err(End::Peer(frame.map(|frame| frame.code.into()))),
            Some(Ok(Message::Binary(_))) => return Err(End::Violation(Close::BINARY)),
            Some(Ok(ping_or_pong @ (Message::Ping(_) | Message::Pong(_)))) => {
                self.unwritten_pong |= ping_or_pong.is_ping();
                self.entry.live.count_empty_frames(1);
                return Ok(None);
            }
            Some(Ok(Message::Frame(_))) => return Ok(None),
            Some(Err(Error::Io(error))) if error.kind() == io::ErrorKind::QuotaExceeded => {
                return Err(End::Violation(Close::TOO_BIG));
            }
            Some(Err(Error::Capacity(_))) => return Err(End::Violation(Close::TOO_BIG)),
            Some(Err(Error::Utf8(_))) => return Err(End::Violation(Close::INVALID_UTF8)),
            Some(Err(Error::Protocol(error))) if error != ProtocolError::ResetWithoutClosingHandshake => {
                return Err(End::Violation(Close::PROTOCOL_ERROR));
            }
            Some(Err(_)) | None => return Err(End::Broken),
        };
        if !self.framed {
            return Ok(Some(vec![Incoming::Message(text.as_str().to_owned())]));
        }
        let limit = self.service.config.limits.message_bytes;
        let error = match decode(text.as_str(), Wrapping::ArrayOrString, limit) {
            Ok(messages) if messages.is_empty() => {
                self.entry.live.count_empty_frames(1);
                return Ok(None);
            }
            Ok(messages) => return Ok(Some(messages.into_iter().map(Incoming::Message).collect())),
            Err(DecodeError::TooBig) => return Err(End::Violation(Close::TOO_BIG)),
            Err(error) => error,
        };
        let malformed = Malformed { error, text: text.as_str().to_owned(), transport: Transport::Websocket };
        match self.service.application.malformed(&self.entry.opener, &malformed) {
            OnMalformed::Deliver => Ok(Some(vec![Incoming::Malformed(malformed)])),
            OnMalformed::Refuse => Err(End::Violation(Close::MALFORMED)),
        }
    }

    async fn write(&mut self, frame: &Frame) -> Result<(), End> {
        match frame {
            // Without frames each message is one; a ping keeps the way open.
            Frame::Messages(messages) if !self.framed => {
                for message in messages {
                    self.send(Message::text(&**message)).await?;
                }
                Ok(())
            }
            Frame::Heartbeat if !self.framed => self.send(Message::Ping(Bytes::new())).await,
            frame => self.send(Message::text(frame.to_text())).await,
        }
    }

    /// Writes a message. A peer that takes nothing does not hold a session that has ended longer than we linger.
    async fn send(&mut self, message: Message) -> Result<(), End> {
        let live = &self.entry.live;
        let cut_off = async {
            live.wait_ended().await;
            sleep(LINGER).await;
        };
        tokio::select! {
            biased;
            written = timeout(self.service.config.limits.write_wait, self.stream.send(message)) => match written {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) | Err(_) => Err(End::Broken),
            },
            () = cut_off => Err(End::Broken),
        }
    }

    /// Our close frame, with which the peer has been told what is `sending`, and a while for the peer's. Its messages until then are
    /// dropped.
    async fn close(&mut self, close: &Close, sending: Option<Sending>) {
        let farewell = async {
            let _ = self.stream.send(Message::Close(Some(close_frame(close)))).await;
            drop(sending);
            while let Some(Ok(_)) = self.stream.next().await {}
            // After a frame that it refused tungstenite reads nothing more. Bytes left unread would turn our close into a reset, so
            // they are dropped below it, once our side has ended; nothing is made of them, so they have no limit.
            self.entry.live.limit_input(usize::MAX);
            let io = self.stream.get_mut();
            let _ = io.shutdown().await;
            let mut scratch = [0; 1024];
            while io.read(&mut scratch).await.is_ok_and(|read| read > 0) {}
        };
        let _ = timeout(LINGER, farewell).await;
    }
}

/// The next message. Nothing is read before the pong to the last ping is written: pongs that the peer does not take would else be queued without
/// a bound. Can be dropped while it waits.
async fn next(stream: &mut Stream, unwritten_pong: &mut bool) -> Option<Result<Message, Error>> {
    if *unwritten_pong {
        if let Err(error) = stream.flush().await {
            return Some(Err(error));
        }
        *unwritten_pong = false;
    }
    stream.next().await
}

/// Codes that may not stand on the wire become 1000; a reason is cut between two characters.
fn close_frame(close: &Close) -> CloseFrame {
    let code = CloseCode::from(close.code);
    let code = if code.is_allowed() { code } else { CloseCode::Normal };
    let mut end = close.reason.len().min(MAX_REASON_BYTES);
    while !close.reason.is_char_boundary(end) {
        end -= 1;
    }
    CloseFrame { code, reason: Utf8Bytes::from(&close.reason[..end]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_frame_can_always_be_written() {
        let frame = close_frame(&Close::new(3000, "Go away!"));
        assert_eq!((u16::from(frame.code), frame.reason.as_str()), (3000, "Go away!"));
        assert_eq!(u16::from(close_frame(&Close::new(1006, "")).code), 1000);
        assert_eq!(u16::from(close_frame(&Close::new(2010, "")).code), 1000);
        let long = close_frame(&Close::new(3000, "é".repeat(100)));
        assert_eq!(long.reason.len(), 122);
    }
}
