//! OctoPrint's conventions over SockJS: a greeting, several attempts, and a connection that waits again when its credential has ended.

use std::borrow::Cow;

use super::{Event, Phase, Protocol, Reading, Received, SockJsDialect, sockjs};
use crate::credential::Carrier;
use crate::refusal::Refusal;
use crate::time::UnixTime;
use crate::wire::Frame;
use crate::wire::octoprint::{Authenticated, Connected, History, OctoPrintEvent, ReauthReason};

/// How often an OctoPrint client may be wrong before its socket is closed.
const ATTEMPTS: u8 = 3;

/// What OctoPrint's clients speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OctoPrint {
    /// Whether an object without the array of strings around it is taken for what it means.
    pub lenient: bool,
}

impl Protocol for OctoPrint {
    fn name(&self) -> &'static str {
        "OctoPrint over SockJS"
    }

    fn carrier(&self) -> Carrier {
        Carrier::Sockjs
    }

    fn read(&self, message: Received<'_>, phase: Phase) -> Reading {
        sockjs::read(message, phase, SockJsDialect { lenient: self.lenient, octoprint: true })
    }

    fn write(&self, event: &Event<'_>, out: &mut dyn FnMut(Frame)) {
        let event = match *event {
            Event::Accepted => OctoPrintEvent::Connected(Connected::default()),
            Event::Authenticated { connection, permit, answer, id: _, now } => {
                let authenticated = Authenticated {
                    user: permit.principal().into(),
                    connection: connection.to_string(),
                    carrier: permit.carrier().map(Carrier::as_str),
                    expires_at: permit.expires_at().map(UnixTime::as_seconds),
                    answer: &answer.0,
                };
                out(Frame::json(&OctoPrintEvent::Authenticated(authenticated)));
                OctoPrintEvent::History(History::at(now.as_seconds()))
            }
            Event::RenewalWanted { expires_at, deadline } => {
                OctoPrintEvent::ReauthSoon { expires_at: expires_at.as_seconds(), deadline: deadline.as_seconds() }
            }
            Event::Refused { error, code, hint, id: _ } => OctoPrintEvent::Error { error, code, hint },
            Event::AttemptFailed => OctoPrintEvent::ReauthRequired { reason: ReauthReason::Stale },
            Event::Deauthenticated { revoked } => {
                OctoPrintEvent::ReauthRequired { reason: revoked.map_or(ReauthReason::Stale, ReauthReason::from) }
            }
            Event::Notice(mistake) => OctoPrintEvent::Notice { notice: mistake.reason(), code: mistake.code() },
            // OctoPrint has no ping of its own: a client that sends usher.v1's gets its answer.
            Event::Pong { .. } => return super::usher_v1::write(event, out),
            Event::Closing { code, reason, reconnect, retry_after } => {
                let retry_after_ms = retry_after.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
                OctoPrintEvent::Bye { code, reason, reconnect, retry_after_ms }
            }
        };
        out(Frame::json(&event));
    }

    fn attempts(&self) -> u8 {
        ATTEMPTS
    }

    fn waits_again(&self) -> bool {
        true
    }

    fn hint(&self, refusal: &Refusal) -> Option<Cow<'static, str>> {
        sockjs::hint(refusal)
    }
}
