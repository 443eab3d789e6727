//! From the upgrade request to an open socket, or a refusal.

use std::collections::VecDeque;
use std::sync::Arc;

use http::StatusCode;

use super::entry::{Entry, Wait};
use super::{Action, Connection, LINGER, State, Verification};
use crate::carriers::Presented;
use crate::credential::Carrier;
use crate::ids::ConnectionId;
use crate::permit::Permit;
use crate::protocol::{ApplicationAnswer, Event};
use crate::refusal::{Refusal, RefusalKind};
use crate::route::{RefuseMode, RouteRules};
use crate::time::Now;
use crate::verify;
use crate::wire::FrameId;

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
        let (actions, unframed, noticed) = (VecDeque::new(), false, false);
        let mut connection = Self { id, rules, state: State::Ended, actions, unframed, noticed };
        match presented {
            Ok(Presented::Credential(carrier, credential)) => {
                connection.state = State::Verifying(Entry::Upgrade { carrier: Some(carrier), browser });
                connection.actions.push_back(Action::Verify(Verification { carrier, credential }));
            }
            Ok(Presented::Nothing(refusal)) => connection.without_credential(now, browser, None, refusal),
            Err(refusal) => connection.refuse_upgrade(now, browser, None, refusal),
        }
        connection
    }

    /// A credential was verified, or was not: the answer to [`Action::Verify`].
    pub fn handle_verdict(&mut self, now: Now, verdict: Result<Permit, Refusal>) {
        // A timer may be late; a deadline is not.
        self.handle_timeout(now);
        match &mut self.state {
            State::Verifying(entry) => {
                let entry = entry.clone();
                match (verdict, entry) {
                    (Ok(permit), entry) => self.ask_application(permit, entry),
                    (Err(refusal), Entry::Upgrade { carrier, browser }) => {
                        self.refuse_credential(now, carrier, browser, refusal);
                    }
                    (Err(refusal), Entry::Message { wait, .. }) => {
                        self.refuse_attempt(now, wait, self.rules.message_carrier(), &refusal);
                    }
                }
            }
            State::Open(_) => self.renew(now, verdict),
            // It timed out or was ended meanwhile.
            State::Waiting(_) | State::Admitting(..) | State::Closing { .. } | State::Ended => {}
        }
    }

    /// The application takes the connection, or does not: the answer to [`Action::Admit`].
    pub fn handle_admission(&mut self, now: Now, admission: Result<(), Refusal>) {
        self.handle_timeout(now);
        if !matches!(self.state, State::Admitting(..)) {
            return;
        }
        // Each way from here sets another state.
        let State::Admitting(permit, entry) = std::mem::replace(&mut self.state, State::Ended) else { return };
        let ended = "the credential has ended while the application was asked";
        let admission = match admission {
            Ok(()) if permit.has_ended(now.unix) => Err(Refusal::new(RefusalKind::Expired, ended)),
            admission => admission,
        };
        match (admission, entry) {
            (Ok(()), Entry::Upgrade { .. }) => {
                self.accept();
                self.open(now, permit, None);
            }
            (Ok(()), Entry::Message { id, .. }) => self.open(now, permit, id.as_ref()),
            (Err(refusal), Entry::Upgrade { carrier, browser }) => {
                self.refuse_upgrade(now, browser, carrier, refusal);
            }
            // Another credential would not help.
            (Err(refusal), Entry::Message { .. }) => {
                self.refuse_open_socket(now, self.rules.message_carrier(), &refusal);
            }
        }
    }

    fn ask_application(&mut self, permit: Permit, entry: Entry) {
        self.actions.push_back(Action::Admit(permit.clone()));
        self.state = State::Admitting(permit, entry);
    }

    /// Lets the holder of `permit` in. The only way to [`State::Open`]; `permit` comes from [`crate::verify`].
    fn open(&mut self, now: Now, permit: Permit, id: Option<&FrameId>) {
        let (life, permit) = super::Life::begin(self.id, &self.rules, permit, now);
        self.actions.push_back(Action::Opened);
        self.state = State::Open(super::Open { permit, life, renewal: None, applying: None });
        self.tell_authenticated(now, &ApplicationAnswer::default(), id);
    }

    /// The upgrade's credential was refused.
    fn refuse_credential(&mut self, now: Now, carrier: Option<Carrier>, browser: bool, refusal: Refusal) {
        match carrier {
            // A browser sends an old cookie whether its page wants to or not: one that is stale is like none.
            Some(Carrier::Cookie) if is_stale(refusal.kind()) => {
                self.without_credential(now, browser, carrier, refusal);
            }
            // A ticket may be bad because its buyer's session is gone: it is refused as any bad ticket (req D6).
            Some(Carrier::Ticket) if refusal.status() == StatusCode::UNAUTHORIZED => {
                self.refuse_ticket(now, carrier, refusal);
            }
            _ => self.refuse_upgrade(now, browser, carrier, refusal),
        }
    }

    /// Nothing that counts was presented: in as anonymous, or wait for a first message, or out.
    fn without_credential(&mut self, now: Now, browser: bool, carrier: Option<Carrier>, refusal: Refusal) {
        if let Ok(visitor) = verify::anonymous(&self.rules, self.id, now) {
            self.ask_application(visitor, Entry::Upgrade { carrier: None, browser });
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
        self.tell(&Event::Accepted);
    }

    /// Refuse after the 101: `error`, `bye`, close.
    pub(super) fn refuse_open_socket(&mut self, now: Now, carrier: Option<Carrier>, refusal: &Refusal) {
        self.actions.push_back(Action::Refused { refusal: refusal.clone(), carrier });
        self.tell_refused(refusal, None);
        let cause = refusal.cause();
        let code = self.rules.close_codes.code(cause);
        self.say_goodbye(cause, code, refusal.reason().into(), refusal.retry_after());
        self.state = State::Closing { deadline: now.monotonic + LINGER };
    }
}

/// Refusals of a cookie that are no fault of its sender's.
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
