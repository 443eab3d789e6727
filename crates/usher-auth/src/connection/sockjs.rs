//! A connection over SockJS: OctoPrint's way of logging in, which has several attempts and an afterlife, and an answer to each mistake.

use std::borrow::Cow;
use std::time::Duration;

use http::StatusCode;

use super::{Action, Connection, State};
use crate::carriers::Carrier;
use crate::close_code::CloseCause;
use crate::permit::Permit;
use crate::refusal::{Refusal, RefusalKind};
use crate::route::{Dialect, RouteRules, SockJsRules};
use crate::time::{Now, UnixTime};
use crate::wire::octoprint::{Authenticated, Connected, History, OctoPrintEvent, ReauthReason};
use crate::wire::{Frame, Mistake, ServerMessage, SockJsMessage, parse_sockjs, shape};

/// How often an OctoPrint client may be wrong before its socket is closed.
const OCTOPRINT_ATTEMPTS: u8 = 3;

/// Shown with every credential that is not good.
const KEY_HINT: &str = "send {\"auth\":\"user:key\"} with the id of a user and, after the colon, an API key of theirs or the `session` that POST /api/login gave them";

/// A wait for a credential in a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait {
    /// Nothing extends it (req E1).
    pub(super) deadline: Duration,
    /// Wrong ones are answered so often, and the last one with the end.
    attempts: u8,
    /// Somebody was in before, and this ended it.
    after: Option<CloseCause>,
}

/// How messages are wrapped on one connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SockJsFraming {
    /// On the raw endpoint a message is the text itself.
    raw: bool,
    /// The client has been told how to wrap its messages.
    noticed: bool,
}

impl Wait {
    pub(super) fn for_first_message(rules: &RouteRules, now: Now) -> Self {
        let attempts = if rules.dialect.is_octoprint() { OCTOPRINT_ATTEMPTS } else { 1 };
        Self { deadline: now.monotonic + rules.first_message.timeout, attempts, after: None }
    }
}

impl Connection {
    /// The same connection on SockJS's raw endpoint, where a message is the text itself.
    #[must_use]
    pub fn on_raw_endpoint(mut self) -> Self {
        self.sockjs.raw = true;
        self
    }

    /// Most bytes of messages that may come before anybody is let in (req E2).
    pub fn waiting_input_limit(&self) -> usize {
        let attempts = if self.rules.dialect.is_octoprint() { usize::from(OCTOPRINT_ATTEMPTS) } else { 1 };
        self.rules.first_message.max_bytes * attempts
    }

    /// A SockJS text came that holds no messages, because of `mistake`. A bare object is taken for what it means where the route is
    /// lenient; everything else is answered.
    pub fn handle_unwrapped(&mut self, now: Now, mistake: Mistake, text: &str) {
        self.handle_timeout(now);
        if mistake == Mistake::NotWrapped
            && text.trim_start().starts_with('{')
            && let Dialect::SockJs(SockJsRules { lenient: true, .. }) = self.rules.dialect
        {
            self.notice(text);
            return self.handle_text(now, text);
        }
        let strict = matches!(self.rules.dialect, Dialect::SockJs(SockJsRules { lenient: false, .. }));
        match &self.state {
            // What is missing is missing from every message to come.
            State::Waiting(_) | State::Open(_) if strict && mistake == Mistake::NotWrapped => {
                let refusal = refusal(mistake, text);
                self.refuse_open_socket(now, self.rules.message_carrier(), &refusal);
            }
            State::Waiting(wait) => {
                let wait = *wait;
                self.refuse_mistake(now, wait, mistake, text);
            }
            State::Open(_) => self.report(&refusal(mistake, text), None),
            State::Verifying { .. } => self.handle_text(now, text),
            State::Deciding { .. } | State::Closing { .. } | State::Ended => {}
        }
    }

    /// What to send in place of a key that is not good: the same for a wrong key and somebody else's.
    pub(super) fn sockjs_hint(&self, refusal: &Refusal) -> Option<Cow<'static, str>> {
        let over_sockjs = matches!(self.rules.dialect, Dialect::SockJs(_));
        (over_sockjs && refusal.status() == StatusCode::UNAUTHORIZED).then_some(Cow::Borrowed(KEY_HINT))
    }

    /// Tells the client, once, how its messages should be wrapped.
    fn notice(&mut self, text: &str) {
        let listens = matches!(self.state, State::Waiting(_) | State::Open(_));
        if !listens || std::mem::replace(&mut self.sockjs.noticed, true) {
            return;
        }
        let (notice, code) = (Mistake::NotWrapped.reason(), Mistake::NotWrapped.code());
        self.actions.push_back(Action::Mistaken(Mistake::NotWrapped, shape(text)));
        self.actions.push_back(Action::Send(if self.rules.dialect.is_octoprint() {
            Frame::json(&OctoPrintEvent::Notice { notice, code })
        } else {
            Frame::json(&ServerMessage::Notice { notice, code })
        }));
    }

    /// What OctoPrint's clients are told before anything else.
    pub(super) fn greet(&mut self) {
        if self.rules.dialect.is_octoprint() {
            let connected = OctoPrintEvent::Connected(Connected::default());
            self.actions.push_back(Action::Send(Frame::json(&connected)));
        }
    }

    pub(super) fn say_authenticated_to_octoprint(&mut self, permit: &Permit, rooms_lost: &[&str], now: Now) {
        for event in [
            OctoPrintEvent::Authenticated(Authenticated {
                user: permit.principal().into(),
                connection: self.id.to_string(),
                carrier: permit.carrier().map(Carrier::as_str),
                expires_at: permit.expires_at().map(UnixTime::as_seconds),
                rooms_lost,
            }),
            OctoPrintEvent::History(History::at(now.unix.as_seconds())),
        ] {
            self.actions.push_back(Action::Send(Frame::json(&event)));
        }
    }

    /// The first messages of a waiting SockJS session.
    pub(super) fn first_sockjs_message(&mut self, now: Now, wait: Wait, rules: SockJsRules, text: &str) {
        match parse_sockjs(text, rules.octoprint, !self.sockjs.raw) {
            Ok(SockJsMessage::Auth(message)) => self.verify_first(wait, Carrier::Sockjs, message),
            // Kept for later, which is nothing here.
            Ok(SockJsMessage::Preference) => {}
            // Who was sent away had not heard of it yet: what they still say is nobody's any more.
            Ok(SockJsMessage::Other) if wait.after.is_some() => {}
            Ok(SockJsMessage::Other) => self.refuse_mistake(now, wait, Mistake::NotAuth, text),
            Err(mistake) => self.refuse_mistake(now, wait, mistake, text),
        }
    }

    /// Takes what is OctoPrint's among the messages of who is in; false leaves the rest to `usher.v1`.
    pub(super) fn take_sockjs_message(&mut self, rules: SockJsRules, text: &str) -> bool {
        match parse_sockjs(text, rules.octoprint, !self.sockjs.raw) {
            Ok(SockJsMessage::Auth(message)) => self.begin_renewal(message),
            Ok(SockJsMessage::Preference) => {}
            // The answers to these are the same on every route.
            Ok(SockJsMessage::Other) | Err(Mistake::TextNotJson | Mistake::NotAnObject | Mistake::MalformedAuth) => {
                return false;
            }
            Err(mistake) => self.report(&refusal(mistake, text), None),
        }
        true
    }

    fn refuse_mistake(&mut self, now: Now, wait: Wait, mistake: Mistake, text: &str) {
        self.refuse_attempt(now, wait, Some(Carrier::Sockjs), &refusal(mistake, text));
    }

    /// A credential in a message was not good, or was none. An OctoPrint client may try again, a few times.
    pub(super) fn refuse_attempt(&mut self, now: Now, wait: Wait, carrier: Option<Carrier>, refusal: &Refusal) {
        // Neither haste nor our own failing is cured by another key.
        let curable = refusal.status().is_client_error() && refusal.retry_after().is_none();
        if !self.rules.dialect.is_octoprint() || !curable {
            return self.refuse_open_socket(now, carrier, refusal);
        }
        self.report(refusal, None);
        let stale = OctoPrintEvent::ReauthRequired { reason: ReauthReason::Stale };
        self.actions.push_back(Action::Send(Frame::json(&stale)));
        if wait.attempts > 1 {
            self.state = State::Waiting(Wait { attempts: wait.attempts - 1, ..wait });
        } else {
            self.end(now, wait.after.unwrap_or(CloseCause::Unauthorized));
        }
    }

    /// No credential came in time.
    pub(super) fn waited_too_long(&mut self, now: Now, wait: Wait) {
        match wait.after {
            Some(cause) => self.end(now, cause),
            None => {
                let refusal = Refusal::new(RefusalKind::AuthenticationTimeout, "no credential came in time");
                if self.rules.dialect.is_octoprint() {
                    self.report(&refusal, None);
                    self.end(now, CloseCause::Unauthorized);
                } else {
                    self.refuse_open_socket(now, None, &refusal);
                }
            }
        }
    }

    /// Who was in is in no more, for `reason`, and may come back until the wait is over; then the socket is closed for `cause`.
    pub(super) fn send_away(&mut self, now: Now, reason: ReauthReason, cause: CloseCause) {
        self.actions.push_back(Action::SendAway);
        self.actions.push_back(Action::Send(Frame::json(&OctoPrintEvent::ReauthRequired { reason })));
        if self.rules.would_await() {
            let wait = Wait { after: Some(cause), ..Wait::for_first_message(&self.rules, now) };
            self.state = State::Waiting(wait);
        } else {
            self.end(now, cause);
        }
    }
}

fn refusal(mistake: Mistake, text: &str) -> Refusal {
    Refusal::new(RefusalKind::Mistake(mistake), format!("a message was written wrongly: {}", shape(text)))
}
