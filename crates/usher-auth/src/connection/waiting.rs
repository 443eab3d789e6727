//! An unauthenticated socket that waits for a credential in a message: at first, or again once its credential has ended.

use super::entry::{Entry, Wait};
use super::{Action, Connection, State};
use crate::close_code::CloseCause;
use crate::credential::Carrier;
use crate::mistake::{Mistake, shape};
use crate::protocol::{Event, Meaning, Reading, Received};
use crate::refusal::{Refusal, RefusalKind};
use crate::revocation::RevocationCause;
use crate::time::Now;

impl Connection {
    /// The same connection on SockJS's raw endpoint, where a message is the text itself.
    #[must_use]
    pub fn on_raw_endpoint(mut self) -> Self {
        self.unframed = true;
        self
    }

    /// A message of a waiting socket.
    pub(super) fn first_message(&mut self, now: Now, wait: Wait, message: Received<'_>) {
        let Reading { meaning, notice } = self.protocol().read(message, self.phase());
        if let Some(mistake) = notice {
            self.notice(mistake, message);
        }
        match meaning {
            Meaning::Credential(first) => {
                let carrier = self.protocol().carrier();
                self.state = State::Verifying(Entry::Message { wait, id: first.id });
                let credential = first.credential;
                self.actions.push_back(Action::Verify(super::Verification { carrier, credential }));
            }
            Meaning::Ignored => {}
            Meaning::Refused(refusal, carrier) => self.refuse_attempt(now, wait, carrier, &refusal),
            Meaning::Fatal(refusal) => self.refuse_open_socket(now, self.rules.message_carrier(), &refusal),
            Meaning::Unsupported => self.handle_violation(now, super::Violation::Binary),
            Meaning::Ping { .. } | Meaning::Application | Meaning::Invalid(_) => {
                let detail = "the first message was not an auth message";
                self.refuse_open_socket(now, None, &Refusal::new(RefusalKind::NotAuthFirst, detail));
            }
        }
    }

    /// Tells the client, once, how its messages should be written.
    pub(super) fn notice(&mut self, mistake: Mistake, message: Received<'_>) {
        if std::mem::replace(&mut self.noticed, true) {
            return;
        }
        let outline = match message {
            Received::Text(text) | Received::Misframed(_, text) => shape(text),
            Received::Binary(_) => String::new(),
        };
        self.actions.push_back(Action::Mistaken(mistake, outline));
        self.tell(&Event::Notice(mistake));
    }

    /// A credential in a message was refused, or the message had none. If the protocol has attempts left, the client may try again.
    pub(super) fn refuse_attempt(&mut self, now: Now, wait: Wait, carrier: Option<Carrier>, refusal: &Refusal) {
        // Neither haste nor our own failing is cured by another credential.
        let curable = refusal.status().is_client_error() && refusal.retry_after().is_none();
        if self.protocol().attempts() == 1 || !curable {
            return self.refuse_open_socket(now, carrier, refusal);
        }
        self.report(refusal, None);
        self.tell(&Event::AttemptFailed);
        if wait.attempts > 1 {
            self.state = State::Waiting(Wait { attempts: wait.attempts - 1, ..wait });
        } else {
            self.end(now, wait.after.unwrap_or(CloseCause::Unauthorized));
        }
    }

    /// No credential came in time.
    pub(super) fn waited_too_long(&mut self, now: Now, wait: Wait) {
        if let Some(cause) = wait.after {
            return self.end(now, cause);
        }
        let refusal = Refusal::new(RefusalKind::AuthenticationTimeout, "no credential came in time");
        if self.protocol().attempts() == 1 {
            self.refuse_open_socket(now, None, &refusal);
        } else {
            self.report(&refusal, None);
            self.end(now, CloseCause::Unauthorized);
        }
    }

    /// The same while a credential is being verified, or the application is asked.
    pub(super) fn waited_too_long_for(&mut self, now: Now, wait: Option<Wait>) {
        if let Some(wait) = wait {
            self.waited_too_long(now, wait);
        }
    }

    /// The credential has ended, by a revocation or by itself. The client may present another until the wait is over; then the socket is
    /// closed for `cause`.
    pub(super) fn deauthenticate(&mut self, now: Now, revoked: Option<RevocationCause>, cause: CloseCause) {
        self.actions.push_back(Action::Deauthenticate);
        self.tell(&Event::Deauthenticated { revoked });
        if self.rules.would_await() {
            let wait = Wait { after: Some(cause), ..Wait::for_first_message(&self.rules, now) };
            self.state = State::Waiting(wait);
        } else {
            self.end(now, cause);
        }
    }
}
