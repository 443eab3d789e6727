//! Nothing of ours: text and binary messages pass as they come, and the client learns of expiry and revocation by the close code alone.

use super::{Authentication, Event, Meaning, Phase, Protocol, Reading, Received, SUBPROTOCOL, usher_v1};
use crate::credential::Carrier;
use crate::wire::Frame;

/// The application's own messages. Where the route takes a credential in the first message, that one message is `usher.v1`'s `auth`; it is
/// not passed on and not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transparent;

impl Protocol for Transparent {
    fn name(&self) -> &'static str {
        "transparent"
    }

    fn carrier(&self) -> Carrier {
        Carrier::FirstMessage
    }

    /// A browser that offers a credential as a subprotocol must offer a real one beside it, and fails the connection if none is selected.
    fn subprotocols(&self) -> &'static [&'static str] {
        &[SUBPROTOCOL]
    }

    fn read(&self, message: Received<'_>, phase: Phase) -> Reading {
        match (phase.authentication, message) {
            (Authentication::Authenticated, Received::Text(_) | Received::Binary(_)) => Meaning::Application.into(),
            (_, Received::Text(text)) => usher_v1::read_first_message(text).into(),
            (_, Received::Binary(_) | Received::Misframed(..)) => Meaning::Unsupported.into(),
        }
    }

    fn write(&self, _: &Event<'_>, _: &mut dyn FnMut(Frame)) {}
}
