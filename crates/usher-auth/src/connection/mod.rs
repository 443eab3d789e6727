//! One connection as a state machine: admission, waiting for a first message, open, closing.
//!
//! ```text
//! begin ──► Verifying ──► Admitting ──► Open ──► Closing ──► Ended
//!    │          ▲  │           │          │          ▲
//!    ▼          │  ▼           ▼          ▼          │
//! Waiting ──────┘  Waiting (another attempt, or the credential has ended and the protocol waits again)
//! ```
//!
//! It moves no byte and asks no clock. The axum driver, every other transport and the tests drive the same machine, so that a rule holds for
//! all of them or for none. What is said over the connection is its [`Protocol`]'s; what the messages mean is the application's.

mod action;
mod admission;
mod closing;
mod entry;
mod life;
mod open;
mod updates;
mod waiting;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

pub use action::{Action, PermitChange, Verification};
pub use updates::PendingUpdates;

pub use crate::session_renewal::{RenewedToken, SessionRenewal};

use entry::{Entry, Wait};
use life::Life;
use updates::Renewal;

use crate::close_code::CloseCause;
use crate::ids::ConnectionId;
use crate::permit::Permit;
use crate::protocol::{ApplicationAnswer, Authentication, Event, Phase, Protocol, Received};
use crate::refusal::{Refusal, RefusalKind};
use crate::route::RouteRules;
use crate::time::Now;
use crate::wire::{FrameId, InvalidFrame};

/// How long a closed socket is kept for the peer to read the close and answer it (req E6).
pub const LINGER: Duration = Duration::from_secs(1);

/// One connection.
///
/// # The call contract
///
/// - The driver tells what happens with `handle_*(now, …)`, in the order in which it happens, with a `now` that never goes back. Each call may
///   leave actions and move the deadline.
/// - After **every** `handle_*` the driver calls [`Connection::poll_action`] until it returns `None`, and carries out each action before
///   it takes the next. Then it asks [`Connection::poll_timeout`] and waits for that moment, or for the next thing to happen.
/// - Three actions ask for an answer, each exactly once: [`Action::Verify`] for [`Connection::handle_verdict`], [`Action::Admit`] for
///   [`Connection::handle_admission`], [`Action::PermitChanged`] for [`Connection::handle_permit_changed`]. The first two may take as long as
///   they need; the third is answered before anything else is told.
/// - Nothing is read from the client while [`Connection::wants_read`] is false, and never a message of more than
///   [`Connection::input_limits`] allow now. A message that comes all the same ends the connection.
/// - [`Connection::handle_message`] says whether the message is for the application. It is, only if the driver may still take it in by
///   then: a revocation that comes first wins.
/// - A timer may be late or early: [`Connection::handle_timeout`] at the wrong time changes nothing, and every `handle_*` looks at the
///   deadline first.
/// - After [`Action::Release`], and after [`Action::Reject`], nothing more comes.
#[derive(Debug)]
pub struct Connection {
    id: ConnectionId,
    rules: Arc<RouteRules>,
    state: State,
    actions: VecDeque<Action>,
    /// Messages come without the transport's framing.
    unframed: bool,
    /// The client was told of a mistake that is understood all the same.
    noticed: bool,
}

#[derive(Debug)]
enum State {
    /// A credential is being verified: the upgrade's, before the 101, or a first message's, whose deadline still stands.
    Verifying(Entry),
    /// The application is asked whether it takes the connection.
    Admitting(Permit, Entry),
    /// After the 101: unauthenticated, until a first message or the deadline.
    Waiting(Wait),
    /// Authenticated.
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
    /// The permit was replaced, and the application has not answered yet.
    applying: Option<Applying>,
}

/// What follows once the application has answered a change of the permit.
#[derive(Debug)]
enum Applying {
    /// `authenticated`, as the answer to the message with that id.
    Renewed { id: Option<FrameId> },
    /// Nothing.
    RightsChanged,
}

/// Whose a received message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a message for the application is lost if it is not passed on"]
pub enum Recipient {
    /// The connection's: everything about it has been done.
    Connection,
    /// The application's. The driver passes it on, after it has carried out the actions.
    Application,
}

/// What may be read from the client, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputLimits {
    /// Largest message, to be checked on a frame's header.
    pub message: usize,
    /// Of all messages together, until the limits change; `None`: any number.
    pub total: Option<usize>,
}

/// What a peer did that RFC 6455 or our protocol does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A frame that RFC 6455 forbids.
    Protocol,
    /// Text that is not UTF-8.
    InvalidUtf8,
    /// A frame or message over [`Connection::input_limits`].
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

    /// What is spoken over it.
    pub fn protocol(&self) -> &dyn Protocol {
        &*self.rules.protocol
    }

    /// By which it is authenticated; only while it is open.
    pub fn permit(&self) -> Option<&Permit> {
        match &self.state {
            State::Open(open) => Some(&open.permit),
            _ => None,
        }
    }

    /// Whether the socket is open and has not been authenticated yet.
    pub fn is_waiting(&self) -> bool {
        matches!(
            &self.state,
            State::Waiting(_) | State::Verifying(Entry::Message { .. }) | State::Admitting(_, Entry::Message { .. })
        )
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
            State::Verifying(_) | State::Admitting(..) | State::Ended => false,
        }
    }

    /// What may be read now. They change with [`Action::Opened`], [`Action::Deauthenticate`] and the rules.
    pub fn input_limits(&self) -> InputLimits {
        match &self.state {
            State::Open(_) => InputLimits { message: self.rules.max_message_bytes, total: None },
            _ => {
                let message = self.rules.first_message.max_bytes;
                InputLimits { message, total: Some(message * usize::from(self.protocol().attempts())) }
            }
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
            State::Waiting(wait) => Some(wait.deadline),
            State::Verifying(entry) => entry.deadline(),
            // The credential came in time; how long the application may take is the driver's to bound.
            State::Admitting(..) => None,
            State::Closing { deadline } => Some(*deadline),
            State::Open(open) => open.life.next(),
            State::Ended => None,
        }
    }

    /// Time has passed. Calling it early or twice changes nothing.
    pub fn handle_timeout(&mut self, now: Now) {
        let passed = self.poll_timeout().is_some_and(|deadline| now.monotonic >= deadline);
        if !passed && !matches!(self.state, State::Open(_)) {
            return;
        }
        match &self.state {
            State::Waiting(wait) => self.waited_too_long(now, *wait),
            State::Verifying(entry) => self.waited_too_long_for(now, entry.wait()),
            State::Open(_) => self.live_on(now),
            State::Closing { .. } => self.release(),
            State::Admitting(..) | State::Ended => {}
        }
    }

    /// A message came. While a message may not be read (see [`Self::wants_read`]) it ends the connection.
    pub fn handle_message(&mut self, now: Now, message: Received<'_>) -> Recipient {
        self.handle_timeout(now);
        match &self.state {
            State::Waiting(wait) => {
                let wait = *wait;
                self.first_message(now, wait, message);
            }
            State::Open(Open { renewal: None, applying: None, .. }) => return self.message(now, message),
            // A driver that reads while it may not: nothing is taken under rights that are being looked at again.
            State::Open(_) => self.end(now, CloseCause::Internal),
            // The same: nothing gets past, and the sender learns that it came too early.
            State::Verifying(_) | State::Admitting(..) if self.is_waiting() => {
                let detail = "a message came while the credential was verified";
                self.refuse_open_socket(now, None, &Refusal::new(RefusalKind::NotAuthFirst, detail));
            }
            State::Verifying(_) | State::Admitting(..) | State::Closing { .. } | State::Ended => {}
        }
        Recipient::Connection
    }

    /// The application found a message wrong that was passed on to it: the client is told, and the connection goes on.
    pub fn handle_invalid(&mut self, now: Now, invalid: &InvalidFrame) {
        self.handle_timeout(now);
        if matches!(self.state, State::Open(_)) {
            self.tell(&Event::Refused {
                error: &invalid.error,
                code: invalid.code,
                hint: None,
                id: invalid.id.as_ref(),
            });
        }
    }

    /// The peer broke the protocol, or a limit that is checked below messages.
    pub fn handle_violation(&mut self, now: Now, violation: Violation) {
        let is_open = matches!(self.state, State::Open(_));
        if !is_open && !self.is_waiting() {
            return self.release();
        }
        match (is_open, violation) {
            (false, Violation::TooBig) => {
                let refusal = Refusal::new(RefusalKind::FirstMessageTooBig, "the first message was over its limit");
                self.refuse_open_socket(now, None, &refusal);
            }
            (false, Violation::Binary) => {
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

    fn phase(&self) -> Phase {
        let authentication = match &self.state {
            State::Open(_) => Authentication::Authenticated,
            State::Waiting(Wait { after: Some(_), .. }) => Authentication::Ended,
            _ => Authentication::Awaited,
        };
        Phase { authentication, unframed: self.unframed }
    }

    /// Tells the client what its protocol has words for.
    fn tell(&mut self, event: &Event<'_>) {
        let actions = &mut self.actions;
        self.rules.protocol.write(event, &mut |frame| actions.push_back(Action::Send(frame)));
    }

    fn tell_authenticated(&mut self, now: Now, answer: &ApplicationAnswer, id: Option<&FrameId>) {
        let State::Open(open) = &self.state else { return };
        let (connection, permit) = (self.id, open.permit.clone());
        self.tell(&Event::Authenticated { connection, permit: &permit, answer, id, now: now.unix });
    }
}
