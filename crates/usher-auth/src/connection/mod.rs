//! One connection as a state machine: admission, waiting for a first message, open, closing.
//!
//! ```text
//! begin ──► Deciding ──► Open ──► Closing ──► Ended
//!    │         │          ▲         ▲
//!    │         ▼          │         │
//!    └──────► Waiting ─► Verifying ─┘         (a refusal over HTTP goes straight to Ended)
//! ```
//!
//! It moves no byte and asks no clock. What happens is told to it with `handle_*(now, …)`; what to do about it comes out of
//! [`Connection::poll_action`] and [`Connection::poll_timeout`]. The axum driver, every other transport and the tests drive the same
//! machine, so that a rule holds for all of them or for none.

mod action;
mod admission;
mod amendment;
mod closing;
mod life;
mod open;
mod sockjs;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

pub use action::{Action, Verification};
pub use amendment::{RenewedToken, SessionRenewal};

use amendment::Renewal;
use life::Life;
use sockjs::{SockJsFraming, Wait};

use crate::carriers::Carrier;
use crate::close_code::CloseCause;
use crate::ids::ConnectionId;
use crate::permit::Permit;
use crate::refusal::{Refusal, RefusalKind};
use crate::route::RouteRules;
use crate::time::Now;
use crate::wire::FrameId;

/// How long a closed socket is kept for the peer to read the close and answer it (req E6).
pub const LINGER: Duration = Duration::from_secs(1);

/// One connection.
#[derive(Debug)]
pub struct Connection {
    id: ConnectionId,
    rules: Arc<RouteRules>,
    state: State,
    actions: VecDeque<Action>,
    sockjs: SockJsFraming,
}

#[derive(Debug)]
enum State {
    /// Before the 101: the upgrade's credential is being verified.
    Deciding { carrier: Carrier, browser: bool },
    /// After the 101: nobody yet, until a first message or the deadline.
    Waiting(Wait),
    /// The first message's credential is being verified; the deadline still stands.
    Verifying { wait: Wait, id: Option<FrameId> },
    /// Somebody.
    Open(Open),
    /// The close frame is out.
    Closing { deadline: Duration },
    /// The socket is to be freed, or never was one.
    Ended,
}

#[derive(Debug)]
struct Open {
    permit: Permit,
    life: Life,
    /// A new credential is being verified.
    renewal: Option<Box<Renewal>>,
    /// The permit was replaced; the rooms are being looked at again.
    applying: Option<Answer>,
}

/// What is said once the rooms were looked at again.
#[derive(Debug)]
enum Answer {
    /// `authenticated`, to whoever brought a new credential.
    Authenticated { id: Option<FrameId> },
    /// `rooms_lost`, if any were.
    RoomsLost,
}

/// What a peer did that RFC 6455 or our protocol does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A frame that RFC 6455 forbids.
    Protocol,
    /// Text that is not UTF-8.
    InvalidUtf8,
    /// A frame or message over [`Connection::message_limit`].
    TooBig,
    /// A binary message.
    Binary,
}

impl Connection {
    /// Its id.
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// The rules of its route.
    pub fn rules(&self) -> &Arc<RouteRules> {
        &self.rules
    }

    /// Who was let in; only while it is open.
    pub fn permit(&self) -> Option<&Permit> {
        match &self.state {
            State::Open(open) => Some(&open.permit),
            _ => None,
        }
    }

    /// Whether the socket is open and nobody has been let in yet.
    pub fn is_waiting(&self) -> bool {
        matches!(self.state, State::Waiting(_) | State::Verifying { .. })
    }

    /// Whether it is over: every remaining action may be carried out, nothing more will come.
    pub fn is_ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// Whether data frames may be read now. While a credential is being verified they may not, so that what follows an `auth`
    /// message is neither lost nor let through early (req E4).
    pub fn wants_read(&self) -> bool {
        match &self.state {
            State::Waiting(_) | State::Closing { .. } => true,
            State::Open(open) => open.renewal.is_none() && open.applying.is_none(),
            State::Deciding { .. } | State::Verifying { .. } | State::Ended => false,
        }
    }

    /// Largest message that may be read now, in bytes, to be checked on a frame's header.
    pub fn message_limit(&self) -> usize {
        match &self.state {
            State::Open(_) => self.rules.max_message_bytes,
            _ => self.rules.first_message.max_bytes,
        }
    }

    /// The next thing to do. Call until it returns `None`, after every `handle_*`.
    pub fn poll_action(&mut self) -> Option<Action> {
        let action = self.actions.pop_front();
        if self.actions.is_empty() {
            // A connection at rest owns no queue.
            self.actions = VecDeque::new();
        }
        action
    }

    /// When to call [`Connection::handle_timeout`], on the monotonic clock.
    pub fn poll_timeout(&self) -> Option<Duration> {
        match &self.state {
            State::Waiting(wait) | State::Verifying { wait, .. } => Some(wait.deadline),
            State::Closing { deadline } => Some(*deadline),
            State::Open(open) => open.life.next(),
            State::Deciding { .. } | State::Ended => None,
        }
    }

    /// Time has passed. Calling it early or twice changes nothing.
    pub fn handle_timeout(&mut self, now: Now) {
        let passed = self.poll_timeout().is_some_and(|deadline| now.monotonic >= deadline);
        if !passed && !matches!(self.state, State::Open(_)) {
            return;
        }
        match &self.state {
            State::Waiting(wait) | State::Verifying { wait, .. } => self.waited_too_long(now, *wait),
            State::Open(_) => self.live_on(now),
            State::Closing { .. } => self.release(),
            State::Deciding { .. } | State::Ended => {}
        }
    }

    /// A credential was verified, or was not: the answer to [`Action::Verify`].
    pub fn handle_verdict(&mut self, now: Now, verdict: Result<Permit, Refusal>) {
        // A timer may be late; a deadline is not.
        self.handle_timeout(now);
        match &mut self.state {
            State::Deciding { carrier, browser } => {
                let (carrier, browser) = (*carrier, *browser);
                self.decide(now, carrier, browser, verdict);
            }
            State::Verifying { id, wait } => {
                let (id, wait) = (id.take(), *wait);
                match verdict {
                    Ok(permit) => self.open(now, permit, id.as_ref()),
                    Err(refusal) => self.refuse_attempt(now, wait, self.rules.message_carrier(), &refusal),
                }
            }
            State::Open(_) => self.renew(now, verdict),
            // It timed out or was ended meanwhile.
            State::Waiting(_) | State::Closing { .. } | State::Ended => {}
        }
    }

    /// A text message came.
    pub fn handle_text(&mut self, now: Now, text: &str) {
        self.handle_timeout(now);
        match &self.state {
            State::Waiting(wait) => {
                let wait = *wait;
                self.first_message(now, wait, text);
            }
            State::Open(Open { renewal: None, applying: None, .. }) => self.message(now, text),
            // A driver that reads while it may not: nothing is taken under rights that are being looked at again.
            State::Open(_) => self.end(now, CloseCause::Internal),
            // The same: nothing gets past, and the sender learns that it came too early.
            State::Verifying { .. } => {
                let refusal =
                    Refusal::new(RefusalKind::NotAuthFirst, "a message came while the credential was verified");
                self.refuse_open_socket(now, None, &refusal);
            }
            State::Deciding { .. } | State::Closing { .. } | State::Ended => {}
        }
    }

    /// The peer broke the protocol, or a limit that is checked below messages.
    pub fn handle_violation(&mut self, now: Now, violation: Violation) {
        match (&self.state, violation) {
            (State::Closing { .. } | State::Ended | State::Deciding { .. }, _) => self.release(),
            (State::Waiting(_) | State::Verifying { .. }, Violation::TooBig) => {
                let refusal = Refusal::new(RefusalKind::FirstMessageTooBig, "the first message was over its limit");
                self.refuse_open_socket(now, None, &refusal);
            }
            (State::Waiting(_) | State::Verifying { .. }, Violation::Binary) => {
                let refusal = Refusal::new(RefusalKind::FirstMessageBinary, "the first message was binary");
                self.refuse_open_socket(now, None, &refusal);
            }
            (_, Violation::Protocol) => self.end(now, CloseCause::ProtocolError),
            (_, Violation::InvalidUtf8) => self.end(now, CloseCause::InvalidUtf8),
            (_, Violation::TooBig) => self.end(now, CloseCause::MessageTooBig),
            (_, Violation::Binary) => self.end(now, CloseCause::UnsupportedData),
        }
    }

    /// The peer's close frame came, or the transport is gone. Whatever frame answers it is the transport's business.
    pub fn handle_peer_closed(&mut self) {
        self.release();
    }
}
