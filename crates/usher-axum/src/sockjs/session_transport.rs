//! A SockJS session as the way the frames of a connection go.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum_sockjs::codec::{self, DecodeError};
use axum_sockjs::{Close, Ended, Session, SessionHandle, Transport as Way, Unsendable};
use tungstenite::Utf8Bytes;
use usher_auth::connection::{InputLimits, Violation};
use usher_auth::protocol::SockJsDialect;
use usher_auth::wire::{Frame, Mistake};

use super::opener::Bond;
use crate::ConnectionHandle;
use crate::flusher::Flusher;
use crate::socket::{Incoming, Transport};
use crate::way::{self, SessionQueue};

/// Wrapping a message once more for SockJS at most doubles it: a quotation mark or a line break becomes two characters.
const WRAPPING: usize = 2;

/// Bytes beside its messages that a waiting session may send.
const OVERHEAD_BYTES: usize = 1024;

/// Bytes that may come with the messages that may, in requests or frames.
fn total_of(limits: InputLimits) -> usize {
    limits.total.map_or(usize::MAX, |total| (total + OVERHEAD_BYTES).saturating_mul(WRAPPING))
}

/// A session, whose own queue is the connection's.
pub(super) struct SessionTransport {
    session: Session,
    encoding: Encoding,
    bond: Arc<Bond>,
    /// Frames without a message that are still to be counted.
    empty_frames: usize,
}

/// The session's queue, for whoever delivers.
struct Queue {
    session: SessionHandle,
    encoding: Encoding,
}

/// How a message is written for one kind of client.
#[derive(Clone, Copy)]
enum Encoding {
    /// As it is: on the raw endpoint.
    Plain,
    /// As a JSON string: for SockJS's own clients.
    Quoted,
    /// As the JSON that it is, with characters escaped that a transport must not send: for OctoPrint's clients.
    Escaped,
}

impl SessionQueue for Queue {
    fn push(&self, frame: &Frame, most: usize) -> bool {
        let encoded = match self.encoding {
            Encoding::Plain => frame.encoded("sockjs, plain", |text| text.into()),
            Encoding::Quoted => frame.encoded("sockjs, quoted", |text| codec::quote(text).into()),
            Encoding::Escaped => frame.encoded("sockjs, escaped", |text| codec::escape(text).into()),
        };
        // One that has ended says so at the next read.
        !matches!(self.session.send_shared_within(encoded, most), Err(Unsendable::Full))
    }

    fn discard(&self) {
        self.session.discard_unsent();
    }

    fn bytes(&self) -> usize {
        self.session.queued_bytes()
    }
}

impl SessionTransport {
    pub(super) fn new(session: Session, dialect: SockJsDialect, bond: Arc<Bond>, limits: InputLimits) -> Self {
        let encoding = match dialect {
            // There is no SockJS frame.
            _ if session.transport() == Way::RawWebsocket => Encoding::Plain,
            SockJsDialect { octoprint: true, .. } => Encoding::Escaped,
            _ => Encoding::Quoted,
        };
        let mut transport = Self { session, encoding, bond, empty_frames: 0 };
        transport.set_limits(limits);
        transport
    }

    /// Whether a frame without a message came; one at a time, as each counts.
    fn takes_empty_frame(&mut self) -> bool {
        if self.empty_frames == 0 {
            self.empty_frames = self.session.take_empty_frames();
        }
        let came = self.empty_frames > 0;
        self.empty_frames -= usize::from(came);
        came
    }
}

impl Transport for SessionTransport {
    /// The service checks the larger limit of a message; what a waiting session may send is limited as a whole.
    fn set_limits(&mut self, limits: InputLimits) {
        self.session.limit_input(total_of(limits));
    }

    /// SockJS's clients answer nothing by themselves, and need not be asked: whoever stops fetching is gone.
    fn take_heard(&mut self) -> bool {
        false
    }

    fn way(&self, _: &Arc<Flusher>) -> way::Way {
        way::Way::Session(Box::new(Queue { session: self.session.handle(), encoding: self.encoding }))
    }

    fn ping(&mut self, _: &ConnectionHandle) {}

    fn forget_presenter(&mut self) {
        self.bond.forget();
    }

    fn forget_ended(&mut self) {
        self.session.forget();
    }

    fn close(&mut self, _: &ConnectionHandle, code: u16, reason: &str) {
        // A log-out takes the cookie from the browser, which is still to hear why the session ended.
        self.bond.forget();
        self.session.close(Close::new(code, reason.to_owned()));
    }

    /// The session writes by itself.
    fn poll_flush(
        &mut self,
        handle: &ConnectionHandle,
        context: &mut Context<'_>,
        closing: bool,
    ) -> Poll<io::Result<()>> {
        if !closing {
            ready!(self.session.poll_written(context));
            // A WebSocket's mailbox learns this as what was taken is given back.
            handle.all_written();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_incoming(&mut self, _: &ConnectionHandle, context: &mut Context<'_>) -> Poll<Incoming> {
        if self.takes_empty_frame() {
            return Poll::Ready(Incoming::Control);
        }
        let received = self.session.poll_receive(context);
        // One that came before the waker was left would not wake.
        if received.is_pending() && self.takes_empty_frame() {
            return Poll::Ready(Incoming::Control);
        }
        let violation = match ready!(received) {
            Some(axum_sockjs::Incoming::Message(text)) => return Poll::Ready(Incoming::Text(Utf8Bytes::from(text))),
            Some(axum_sockjs::Incoming::Malformed(malformed)) => {
                let mistake = match malformed.error {
                    DecodeError::BrokenJson | DecodeError::Empty | DecodeError::TooBig => Mistake::NotJson,
                    DecodeError::NotWrapped => Mistake::NotWrapped,
                    DecodeError::NotStrings => Mistake::ItemsNotStrings,
                };
                return Poll::Ready(Incoming::Misframed(mistake, malformed.text));
            }
            None => match self.session.ended() {
                // Told already by the session's socket; here it is for the records.
                Some(Ended::Malformed(close)) if close == Close::TOO_BIG => Violation::TooBig,
                Some(Ended::Malformed(close)) if close == Close::BINARY => Violation::Binary,
                Some(Ended::Malformed(close)) if close == Close::INVALID_UTF8 => Violation::InvalidUtf8,
                Some(Ended::Malformed(_)) => Violation::Protocol,
                _ => return Poll::Ready(Incoming::Closed),
            },
        };
        Poll::Ready(Incoming::Violation(violation))
    }
}
