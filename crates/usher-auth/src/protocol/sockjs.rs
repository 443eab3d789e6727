//! What clients say over SockJS beside `usher.v1`, and an answer to each mistake in its framing.

use std::borrow::Cow;

use http::StatusCode;

use super::sockjs_message::{SockJsMessage, parse_sockjs};
use super::usher_v1::{self, kind_of};
use super::{Authentication, Event, Meaning, Phase, Protocol, Reading, Received, SockJsDialect};
use crate::credential::Carrier;
use crate::mistake::{Mistake, shape};
use crate::refusal::{Refusal, RefusalKind};
use crate::wire::Frame;

/// Shown with every credential that is not good.
const KEY_HINT: &str = "send {\"auth\":\"user:key\"} with the id of a user and, after the colon, an API key of theirs or the `session` that POST /api/login gave them";

/// `usher.v1` in SockJS messages, where a credential may also be `{"auth":"user:key"}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsherOverSockJs {
    /// Whether an object without the array of strings around it is taken for what it means.
    pub lenient: bool,
}

impl Protocol for UsherOverSockJs {
    fn name(&self) -> &'static str {
        "usher.v1 over SockJS"
    }

    fn carrier(&self) -> Carrier {
        Carrier::Sockjs
    }

    fn subprotocols(&self) -> &'static [&'static str] {
        &[usher_v1::SUBPROTOCOL]
    }

    fn read(&self, message: Received<'_>, phase: Phase) -> Reading {
        read(message, phase, SockJsDialect { lenient: self.lenient, octoprint: false })
    }

    fn write(&self, event: &Event<'_>, out: &mut dyn FnMut(Frame)) {
        usher_v1::write(event, out);
    }

    fn hint(&self, refusal: &Refusal) -> Option<Cow<'static, str>> {
        hint(refusal)
    }
}

/// What to send in place of a key that is not good: the same for a wrong key and for another user's.
pub(super) fn hint(refusal: &Refusal) -> Option<Cow<'static, str>> {
    (refusal.status() == StatusCode::UNAUTHORIZED).then_some(Cow::Borrowed(KEY_HINT))
}

/// Reads a message, or the text in which the transport found none.
pub(super) fn read(message: Received<'_>, phase: Phase, rules: SockJsDialect) -> Reading {
    match message {
        Received::Text(text) => read_text(text, phase, rules.octoprint).into(),
        Received::Binary(_) => Meaning::Unsupported.into(),
        Received::Misframed(mistake @ Mistake::NotWrapped, text)
            if rules.lenient && text.trim_start().starts_with('{') =>
        {
            Reading { meaning: read_text(text, phase, rules.octoprint), notice: Some(mistake) }
        }
        // What is missing is missing from every message to come.
        Received::Misframed(mistake @ Mistake::NotWrapped, text) if !rules.lenient => {
            Meaning::Fatal(refusal(mistake, text)).into()
        }
        Received::Misframed(mistake, text) => refused(mistake, text).into(),
    }
}

fn read_text(text: &str, phase: Phase, octoprint: bool) -> Meaning {
    let parsed = |text| parse_sockjs(text, octoprint, !phase.unframed);
    match phase.authentication {
        Authentication::Authenticated => {
            // What has no `type` may be OctoPrint's; the rest is read as everywhere.
            if kind_of(text).is_some() {
                return usher_v1::read_message(text);
            }
            match parsed(text) {
                Ok(SockJsMessage::Auth(message)) => Meaning::Credential(message),
                Ok(SockJsMessage::Preference) => Meaning::Ignored,
                // The answers to these are the same on every route.
                Ok(SockJsMessage::Other)
                | Err(Mistake::TextNotJson | Mistake::NotAnObject | Mistake::MalformedAuth) => Meaning::Application,
                Err(mistake) => refused(mistake, text),
            }
        }
        Authentication::Awaited | Authentication::Ended => match parsed(text) {
            Ok(SockJsMessage::Auth(message)) => Meaning::Credential(message),
            // Kept for later, which is nothing here.
            Ok(SockJsMessage::Preference) => Meaning::Ignored,
            // The client had not read yet that its credential has ended.
            Ok(SockJsMessage::Other) if phase.authentication == Authentication::Ended => Meaning::Ignored,
            Ok(SockJsMessage::Other) => refused(Mistake::NotAuth, text),
            Err(mistake) => refused(mistake, text),
        },
    }
}

fn refused(mistake: Mistake, text: &str) -> Meaning {
    Meaning::Refused(refusal(mistake, text), Some(Carrier::Sockjs))
}

fn refusal(mistake: Mistake, text: &str) -> Refusal {
    Refusal::new(RefusalKind::Mistake(mistake), format!("a message was written wrongly: {}", shape(text)))
}
