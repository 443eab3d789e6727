//! `usher.v1`: JSON text, each message an object with a `type`. The contract is docs/protocol/websocket.md.

use std::borrow::Cow;

use super::{Authentication, Event, Meaning, Phase, Protocol, Reading, Received};
use crate::carriers::{InvalidFirstMessage, parse_first_message};
use crate::credential::Carrier;
use crate::refusal::{Refusal, RefusalKind};
use crate::time::UnixTime;
use crate::wire::{Envelope, Frame, InvalidFrame, ServerMessage};

/// The subprotocol that `usher.v1` is offered by.
pub const SUBPROTOCOL: &str = "usher.v1";

/// `usher.v1` in WebSocket text messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsherV1;

impl Protocol for UsherV1 {
    fn name(&self) -> &'static str {
        "usher.v1"
    }

    fn carrier(&self) -> Carrier {
        Carrier::FirstMessage
    }

    fn subprotocols(&self) -> &'static [&'static str] {
        &[SUBPROTOCOL]
    }

    fn read(&self, message: Received<'_>, phase: Phase) -> Reading {
        match (message, phase.authentication) {
            (Received::Text(text), Authentication::Authenticated) => read_message(text).into(),
            (Received::Text(text), _) => read_first_message(text).into(),
            (Received::Binary(_) | Received::Misframed(..), _) => Meaning::Unsupported.into(),
        }
    }

    fn write(&self, event: &Event<'_>, out: &mut dyn FnMut(Frame)) {
        write(event, out);
    }
}

/// Members that a message may have once, whatever its type. Those of other names are passed over.
const MEMBERS: [&str; 3] = ["room", "boardId", "data"];

/// A message before the connection is authenticated: an `auth` and nothing else.
pub(super) fn read_first_message(text: &str) -> Meaning {
    match parse_first_message(text) {
        Ok(message) => Meaning::Credential(message),
        Err(InvalidFirstMessage::NotAuth) => {
            let detail = "the first message was not an auth message";
            Meaning::Refused(Refusal::new(RefusalKind::NotAuthFirst, detail), None)
        }
        Err(malformed @ InvalidFirstMessage::Malformed) => {
            let refusal = Refusal::new(RefusalKind::MalformedCredential, malformed.to_string());
            Meaning::Refused(refusal, Some(Carrier::FirstMessage))
        }
    }
}

/// A message of an authenticated client. Only `auth` and `ping` are read in full: every other one is read by the application, which also
/// finds what is wrong with it.
pub(super) fn read_message(text: &str) -> Meaning {
    match kind_of(text).as_deref() {
        Some("auth") => match Envelope::parse(text, MEMBERS) {
            Ok(Envelope { id, .. }) => match parse_first_message(text) {
                Ok(auth) => Meaning::Credential(auth),
                Err(error) => {
                    Meaning::Invalid(InvalidFrame { id, ..InvalidFrame::new(error.to_string(), "invalid_field") })
                }
            },
            Err(invalid) => Meaning::Invalid(invalid),
        },
        Some("ping") => match Envelope::parse(text, MEMBERS) {
            Ok(Envelope { id, .. }) => Meaning::Ping { id },
            Err(invalid) => Meaning::Invalid(invalid),
        },
        _ => Meaning::Application,
    }
}

/// The `type` of a message, if it has one; not whether the rest of it is right. Where the `type` comes first, as clients write it, nothing
/// after it is looked at.
pub(super) fn kind_of(text: &str) -> Option<Cow<'_, str>> {
    first_member(text).map(Cow::Borrowed).or_else(|| Envelope::parse(text, []).ok().map(|envelope| envelope.kind))
}

/// What follows `{"type":"` up to the next quotation mark, unless characters in it are escaped.
fn first_member(text: &str) -> Option<&str> {
    let space = [' ', '\t', '\r', '\n'];
    let text = text.trim_start_matches(space).strip_prefix('{')?.trim_start_matches(space).strip_prefix("\"type\"")?;
    let text = text.trim_start_matches(space).strip_prefix(':')?.trim_start_matches(space).strip_prefix('"')?;
    let (kind, _) = text.split_once('"')?;
    (!kind.contains('\\')).then_some(kind)
}

/// Writes an event as `usher.v1` has it.
pub(super) fn write(event: &Event<'_>, out: &mut dyn FnMut(Frame)) {
    let message = match *event {
        Event::Authenticated { connection, permit, answer, id, now: _ } => ServerMessage::Authenticated {
            user: permit.principal().into(),
            connection,
            carrier: permit.carrier().map(Carrier::as_str),
            expires_at: permit.expires_at().map(UnixTime::as_seconds),
            answer: &answer.0,
            id,
        },
        Event::RenewalWanted { expires_at, deadline } => {
            ServerMessage::ReauthRequired { expires_at: expires_at.as_seconds(), deadline: deadline.as_seconds() }
        }
        Event::Refused { error, code, hint, id } => ServerMessage::Error { error, code, hint, id },
        Event::Notice(mistake) => ServerMessage::Notice { notice: mistake.reason(), code: mistake.code() },
        Event::Pong { id } => ServerMessage::Pong { id },
        Event::Closing { code, reason, reconnect, retry_after } => {
            let retry_after_ms = retry_after.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
            ServerMessage::Bye { code, reason, reconnect, retry_after_ms }
        }
        Event::Accepted | Event::AttemptFailed | Event::Deauthenticated { .. } => return,
    };
    out(Frame::json(&message));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_a_message_is_found_wherever_it_stands() {
        for (text, kind) in [
            (r#"{"type":"join","room":"a"}"#, Some("join")),
            (" { \"type\" :\n\"auth\" }", Some("auth")),
            (r#"{"room":"a","type":"ping"}"#, Some("ping")),
            (r#"{"t\u0079pe":"auth"}"#, Some("auth")),
            (r#"{"type":"\u0061uth"}"#, Some("auth")),
            (r#"{"type":7}"#, None),
            (r#"{"a":{"type":"auth"}}"#, None),
            (r#"["type","auth"]"#, None),
            ("{", None),
            ("", None),
        ] {
            assert_eq!(kind_of(text).as_deref(), kind, "{text}");
        }
    }

    #[test]
    fn a_credential_is_read_strictly_and_what_is_not_ours_is_not_read_at_all() {
        let code = |text: &str| match read_message(text) {
            Meaning::Credential(_) => "credential",
            Meaning::Ping { .. } => "ping",
            Meaning::Application => "application",
            Meaning::Invalid(invalid) => invalid.code,
            other => panic!("{other:?}"),
        };
        for (text, expected) in [
            (r#"{"type":"auth","token":"x"}"#, "credential"),
            (r#"{"type":"auth","token":"x","more":1}"#, "invalid_field"),
            (r#"{"type":"auth","token":"x","id":{}}"#, "invalid_field"),
            (r#"{"type":"auth","token":"x""#, "invalid_json"),
            (r#"{"type":"ping","id":1,"id":2}"#, "invalid_message"),
            (r#"{"type":"ping","room":"a","room":"b"}"#, "invalid_message"),
            (r#"{"type":"auth","token":"x","data":1,"data":2}"#, "invalid_message"),
            (r#"{"type":"ping","id":{}}"#, "invalid_field"),
            (r#"{"type":"ping","x":[]}"#, "ping"),
            (r#"{"type":"join"}"#, "application"),
            (r#"{"type":"fly"}"#, "application"),
            ("nonsense", "application"),
        ] {
            assert_eq!(code(text), expected, "{text}");
        }
    }
}
