//! A SockJS session as the way the frames of a connection go.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum_sockjs::codec::{self, DecodeError};
use axum_sockjs::{Close, Ended, Session, Transport as Way};
use tungstenite::Utf8Bytes;
use usher_auth::connection::Violation;
use usher_auth::route::Dialect;
use usher_auth::wire::{Frame, Mistake, Wrapping};

use super::opener::Bond;
use crate::socket::{Incoming, Transport};

/// Wrapping a message once more for SockJS at most doubles it: a quotation mark or a line break becomes two characters.
const WRAPPING: usize = 2;

/// A session, and what is to go into it.
pub(super) struct SessionTransport {
    session: Session,
    encoding: Encoding,
    bond: Arc<Bond>,
    /// Frames without a message that are still to be counted.
    empty_frames: usize,
    out: VecDeque<Frame>,
    bytes: usize,
    close: Option<Close>,
}

/// How a frame stands in a SockJS frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    /// As a string, for SockJS's own clients.
    Text,
    /// As the JSON that it is, for OctoPrint's.
    Json,
    /// As it is: there is no SockJS frame.
    Raw,
}

impl SessionTransport {
    pub(super) fn new(session: Session, dialect: Dialect, bond: Arc<Bond>) -> Self {
        let encoding = match dialect {
            _ if session.transport() == Way::RawWebsocket => Encoding::Raw,
            _ if dialect.is_octoprint() => Encoding::Json,
            _ => Encoding::Text,
        };
        Self { session, encoding, bond, empty_frames: 0, out: VecDeque::new(), bytes: 0, close: None }
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

    /// Hands everything queued to the session. One that has ended takes nothing, and says so at the next read.
    fn hand_over(&mut self) {
        self.bytes = 0;
        for frame in self.out.drain(..) {
            let encoded = match self.encoding {
                Encoding::Raw => frame.wrapped(Wrapping::Plain, Into::into),
                Encoding::Text => frame.wrapped(Wrapping::Quoted, |text| codec::quote(text).into()),
                Encoding::Json => frame.wrapped(Wrapping::Escaped, |text| codec::escape(text).into()),
            };
            let _ = self.session.send_shared(encoded);
        }
        self.out.shrink_to(0);
    }
}

impl Transport for SessionTransport {
    /// The service checks the larger limit on every message; what a waiting session may send is limited as a whole.
    fn set_message_limit(&mut self, _: usize) {}

    fn limit_input(&mut self, bytes: usize) {
        self.session.limit_input(bytes.saturating_mul(WRAPPING));
    }

    /// SockJS's clients answer nothing by themselves, and need not be asked: whoever stops fetching is gone.
    fn take_heard(&mut self) -> bool {
        false
    }

    fn ping(&mut self) {}

    fn queued_bytes(&self) -> usize {
        self.bytes
    }

    fn send(&mut self, frame: Frame) {
        self.bytes += frame.len();
        self.out.push_back(frame);
    }

    fn discard_queued(&mut self) {
        self.out = VecDeque::new();
        self.bytes = 0;
        self.session.discard_unsent();
    }

    fn discard(&self) -> Option<Box<dyn Fn() + Send + Sync>> {
        let session = self.session.handle();
        Some(Box::new(move || session.discard_unsent()))
    }

    fn forget_presenter(&mut self) {
        self.bond.forget();
    }

    fn close(&mut self, code: u16, reason: &str) {
        // A log-out takes the cookie from the browser, which is still to hear why the session ended.
        self.bond.forget();
        self.close = Some(Close::new(code, reason.to_owned()));
    }

    /// The connection's own queue is the bounded one: a client that fetches slowly leaves frames there until it has fetched the
    /// last batch.
    fn poll_flush(&mut self, context: &mut Context<'_>, closing: bool) -> Poll<io::Result<()>> {
        if closing {
            self.hand_over();
            if let Some(close) = self.close.take() {
                self.session.close(close);
            }
            return Poll::Ready(Ok(()));
        }
        ready!(self.session.poll_handed_over(context));
        if !self.out.is_empty() {
            self.hand_over();
            ready!(self.session.poll_handed_over(context));
        }
        Poll::Ready(Ok(()))
    }

    fn poll_finish(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.poll_flush(context, true).map(|_| ())
    }

    fn poll_incoming(&mut self, context: &mut Context<'_>) -> Poll<Incoming> {
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
                return Poll::Ready(Incoming::Unwrapped(mistake, malformed.text));
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
