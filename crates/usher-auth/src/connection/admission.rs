//! From the upgrade request to an open socket, or a refusal.

use std::collections::VecDeque;
use std::sync::Arc;

use http::StatusCode;

use super::{Action, Connection, LINGER, SockJsFraming, State, Verification, Wait};
use crate::carriers::{Carrier, FirstMessage, InvalidFirstMessage, Presented, parse_first_message};
use crate::ids::ConnectionId;
use crate::permit::Permit;
use crate::refusal::{Refusal, RefusalKind};
use crate::route::{Dialect, RefuseMode, RouteRules};
use crate::time::Now;
use crate::verify;

impl Connection {
    /// An upgrade request came. `presented` is what [`crate::carriers::present`] found; `browser` says whether the request had an
    /// `Origin`.
    pub fn begin(
        id: ConnectionId,
        rules: Arc<RouteRules>,
        presented: Result<Presented, Refusal>,
        browser: bool,
        now: Now,
    ) -> Self {
        let sockjs = SockJsFraming::default();
        let mut connection = Self { id, rules, state: State::Ended, actions: VecDeque::new(), sockjs };
        match presented {
            Ok(Presented::Credential(carrier, credential)) => {
                connection.state = State::Deciding { carrier, browser };
                connection.actions.push_back(Action::Verify(Verification { carrier, credential }));
            }
            Ok(Presented::Nothing(refusal)) => connection.without_credential(now, browser, None, refusal),
            Err(refusal) => connection.refuse_upgrade(now, browser, None, refusal),
        }
        connection
    }

    /// The verdict on the upgrade's credential.
    pub(super) fn decide(&mut self, now: Now, carrier: Carrier, browser: bool, verdict: Result<Permit, Refusal>) {
        match verdict {
            Ok(permit) => {
                self.accept();
                self.open(now, permit, None);
            }
            // A browser sends an old cookie whether its page wants to or not: one that is stale is like none.
            Err(refusal) if carrier == Carrier::Cookie && is_stale(refusal.kind()) => {
                self.without_credential(now, browser, Some(carrier), refusal);
            }
            // A ticket may be bad because its buyer's session is gone: it is refused as any bad ticket (req D6).
            Err(refusal) if carrier == Carrier::Ticket && refusal.status() == StatusCode::UNAUTHORIZED => {
                self.refuse_ticket(now, Some(carrier), refusal);
            }
            Err(refusal) => self.refuse_upgrade(now, browser, Some(carrier), refusal),
        }
    }

    /// Nothing that counts was presented: in as anonymous, or wait for a first message, or out.
    fn without_credential(&mut self, now: Now, browser: bool, carrier: Option<Carrier>, refusal: Refusal) {
        if let Ok(visitor) = verify::anonymous(&self.rules, self.id, now) {
            self.accept();
            self.open(now, visitor, None);
        } else if self.rules.would_await() {
            self.accept();
            self.state = State::Waiting(Wait::for_first_message(&self.rules, now));
        } else {
            self.refuse_upgrade(now, browser, carrier, refusal);
        }
    }

    /// Refuse before the 101, in the way the route says.
    fn refuse_upgrade(&mut self, now: Now, browser: bool, carrier: Option<Carrier>, refusal: Refusal) {
        if is_ticket(refusal.kind()) {
            return self.refuse_ticket(now, carrier, refusal);
        }
        let over_http = match self.rules.refuse {
            RefuseMode::Http => true,
            RefuseMode::Close => is_origin(refusal.kind()),
            RefuseMode::Auto => !browser || is_origin(refusal.kind()),
        };
        self.refuse_as(over_http, now, carrier, refusal);
    }

    /// Refuse a ticket: before the 101, unless the route says that every refusal is a close.
    fn refuse_ticket(&mut self, now: Now, carrier: Option<Carrier>, refusal: Refusal) {
        self.refuse_as(self.rules.refuse != RefuseMode::Close, now, carrier, refusal);
    }

    fn refuse_as(&mut self, over_http: bool, now: Now, carrier: Option<Carrier>, refusal: Refusal) {
        if over_http {
            self.actions.push_back(Action::Refused { refusal: refusal.clone(), carrier });
            self.actions.push_back(Action::Reject(refusal));
            self.state = State::Ended;
        } else {
            self.accept();
            self.refuse_open_socket(now, carrier, &refusal);
        }
    }

    fn accept(&mut self) {
        self.actions.push_back(Action::Accept);
        self.greet();
    }

    /// The first message of a waiting socket.
    pub(super) fn first_message(&mut self, now: Now, wait: Wait, text: &str) {
        if let Dialect::SockJs(rules) = self.rules.dialect {
            return self.first_sockjs_message(now, wait, rules, text);
        }
        match parse_first_message(text) {
            Ok(message) => self.verify_first(wait, Carrier::FirstMessage, message),
            Err(InvalidFirstMessage::NotAuth) => {
                let refusal = Refusal::new(RefusalKind::NotAuthFirst, "the first message was not an auth message");
                self.refuse_open_socket(now, None, &refusal);
            }
            Err(malformed @ InvalidFirstMessage::Malformed) => {
                let refusal = Refusal::new(RefusalKind::MalformedCredential, malformed.to_string());
                self.refuse_open_socket(now, Some(Carrier::FirstMessage), &refusal);
            }
        }
    }

    /// Have the credential in a first message looked at.
    pub(super) fn verify_first(&mut self, wait: Wait, carrier: Carrier, message: FirstMessage) {
        self.state = State::Verifying { wait, id: message.id };
        self.actions.push_back(Action::Verify(Verification { carrier, credential: message.credential }));
    }

    /// Refuse after the 101: `error`, `bye`, close.
    pub(super) fn refuse_open_socket(&mut self, now: Now, carrier: Option<Carrier>, refusal: &Refusal) {
        self.actions.push_back(Action::Refused { refusal: refusal.clone(), carrier });
        let error = self.error_frame(refusal, None);
        self.actions.push_back(Action::Send(error));
        self.say_goodbye(refusal.cause(), refusal.reason(), refusal.retry_after());
        self.state = State::Closing { deadline: now.monotonic + LINGER };
    }
}

/// Refusals of a cookie that are no fault of who sends it.
fn is_stale(kind: RefusalKind) -> bool {
    matches!(
        kind,
        RefusalKind::InvalidSession | RefusalKind::Expired | RefusalKind::UserNotFound | RefusalKind::Unauthorized
    )
}

/// A page that may not use the cookie gets no socket, in no mode.
fn is_origin(kind: RefusalKind) -> bool {
    kind == RefusalKind::OriginForbidden
}

fn is_ticket(kind: RefusalKind) -> bool {
    matches!(
        kind,
        RefusalKind::MissingTicket
            | RefusalKind::InvalidTicket
            | RefusalKind::SpentTicket
            | RefusalKind::TicketNotForHere
    )
}
