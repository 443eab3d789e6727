//! What is spoken over a connection: what a received message is, and how the events of a connection's life are written.
//!
//! [`crate::connection::Connection`] decides; a [`Protocol`] only translates. Four are here:
//!
//! | Protocol | reads | writes |
//! |---|---|---|
//! | [`UsherV1`] | `usher.v1`: `auth` and `ping`; every other text is the application's | `usher.v1` frames |
//! | [`UsherOverSockJs`] | the same, and `{"auth":"user:key"}`; answers mistakes in SockJS's framing | `usher.v1` frames |
//! | [`OctoPrint`] | the same, and OctoPrint's `throttle` and `subscribe` | the events that OctoPrint's clients know |
//! | [`Transparent`] | a first `auth` message where the route takes one; everything after it is the application's | nothing |

mod event;
mod octoprint;
mod sockjs;
mod sockjs_message;
mod transparent;
mod usher_v1;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

pub use event::{ApplicationAnswer, Event};
pub use octoprint::OctoPrint;
pub use sockjs::UsherOverSockJs;
pub use transparent::Transparent;
pub use usher_v1::{SUBPROTOCOL, UsherV1};

use crate::carriers::FirstMessage;
use crate::credential::Carrier;
use crate::mistake::Mistake;
use crate::refusal::Refusal;
use crate::wire::{Frame, FrameId, InvalidFrame};

/// What is spoken over a connection.
///
/// An implementation has no state of its own: one value serves every connection of a route, and what a connection must remember (its attempts,
/// whether a notice was sent) the connection remembers.
pub trait Protocol: fmt::Debug + Send + Sync + 'static {
    /// Stable: for the log, and for `usher check`.
    fn name(&self) -> &'static str;

    /// The carrier that a credential in a message counts as. A route that lists this carrier accepts sockets without a credential and waits
    /// for a message.
    fn carrier(&self) -> Carrier;

    /// The WebSocket subprotocols it answers to, of which the first that a client offers is selected (RFC 6455 §4.2.2).
    fn subprotocols(&self) -> &'static [&'static str] {
        &[]
    }

    /// What a received message is.
    fn read(&self, message: Received<'_>, phase: Phase) -> Reading;

    /// Writes an event as frames, none if the protocol has no words for it. `out` takes them in order.
    fn write(&self, event: &Event<'_>, out: &mut dyn FnMut(Frame));

    /// How many credentials a client may present, one after the other, before the connection is closed. At least 1.
    fn attempts(&self) -> u8 {
        1
    }

    /// Whether a connection whose credential has ended goes back to waiting for another one, in place of being closed.
    fn waits_again(&self) -> bool {
        false
    }

    /// What the client is told to do about a refusal that has no hint of its own.
    fn hint(&self, _refusal: &Refusal) -> Option<Cow<'static, str>> {
        None
    }
}

/// A message that came from the client.
#[derive(Clone, Copy, Debug)]
pub enum Received<'a> {
    /// Text.
    Text(&'a str),
    /// Bytes.
    Binary(&'a [u8]),
    /// A text in which the transport found no message, because of a mistake in its framing.
    Misframed(Mistake, &'a str),
}

/// When a message came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase {
    /// Whether the connection is authenticated.
    pub authentication: Authentication,
    /// Whether messages come without the transport's framing: on SockJS's raw endpoint.
    pub unframed: bool,
}

/// Whether a connection is authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// Not yet.
    Awaited,
    /// It was, and its credential has ended: the client may not have read that yet.
    Ended,
    /// It is.
    Authenticated,
}

/// What a message is.
#[derive(Clone, Debug)]
pub struct Reading {
    /// What it is.
    pub meaning: Meaning,
    /// A mistake that was understood all the same. The client is told once.
    pub notice: Option<Mistake>,
}

/// What a message means.
#[derive(Clone, Debug)]
pub enum Meaning {
    /// A credential, to be verified.
    Credential(FirstMessage),
    /// The protocol's own ping, to be answered.
    Ping {
        /// To be echoed.
        id: Option<FrameId>,
    },
    /// For the application. Before a connection is authenticated this is not taken: it ends the connection.
    Application,
    /// Nothing is to be done about it.
    Ignored,
    /// Wrong, and answered; the connection goes on. Before authentication it ends the connection.
    Invalid(InvalidFrame),
    /// Refused, and answered; an authenticated connection goes on, and before authentication it counts as an attempt.
    Refused(Refusal, Option<Carrier>),
    /// Refused, and the connection ends: every message to come would be as wrong.
    Fatal(Refusal),
    /// A binary message, where the protocol has none: the connection ends with 1003.
    Unsupported,
}

impl From<Meaning> for Reading {
    fn from(meaning: Meaning) -> Self {
        Self { meaning, notice: None }
    }
}

/// What a SockJS endpoint takes, and whose conventions it follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SockJsDialect {
    /// Whether an object without the array of strings around it is taken for what it means.
    pub lenient: bool,
    /// Whether it talks to OctoPrint's clients as OctoPrint does.
    pub octoprint: bool,
}

impl SockJsDialect {
    /// What is spoken over its connections.
    pub fn protocol(self) -> Arc<dyn Protocol> {
        match self {
            Self { lenient, octoprint: true } => Arc::new(OctoPrint { lenient }),
            Self { lenient, octoprint: false } => Arc::new(UsherOverSockJs { lenient }),
        }
    }
}
