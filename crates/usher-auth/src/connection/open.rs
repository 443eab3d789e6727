//! An authenticated connection: messages, renewal, and what ends it.

use std::time::Duration;

use super::{Action, Applying, Connection, PermitChange, Recipient, Renewal, State, Verification};
use crate::carriers::FirstMessage;
use crate::close_code::CloseCause;
use crate::permit::Permit;
use crate::protocol::{ApplicationAnswer, Event, Meaning, Reading, Received};
use crate::refusal::{Refusal, RefusalKind};
use crate::revocation::RevocationCause;
use crate::time::Now;
use crate::wire::FrameId;

impl Connection {
    /// A message of an authenticated client.
    pub(super) fn message(&mut self, now: Now, message: Received<'_>) -> Recipient {
        let Reading { meaning, notice } = self.protocol().read(message, self.phase());
        if let Some(mistake) = notice {
            self.notice(mistake, message);
        }
        match meaning {
            Meaning::Application => {
                self.count_as_use(now);
                return Recipient::Application;
            }
            Meaning::Ping { id } => {
                self.count_as_use(now);
                self.tell(&Event::Pong { id: id.as_ref() });
            }
            Meaning::Credential(auth) => self.begin_renewal(auth),
            Meaning::Ignored => {}
            Meaning::Invalid(invalid) => self.handle_invalid(now, &invalid),
            Meaning::Refused(refusal, _) => self.report(&refusal, None),
            Meaning::Fatal(refusal) => self.refuse_open_socket(now, self.rules.message_carrier(), &refusal),
            Meaning::Unsupported => self.end(now, CloseCause::UnsupportedData),
        }
        Recipient::Connection
    }

    /// A new credential came in a message.
    fn begin_renewal(&mut self, auth: FirstMessage) {
        let Some(carrier) = self.rules.message_carrier() else {
            self.report_disabled_carrier(auth.id.as_ref());
            return;
        };
        if let State::Open(open) = &mut self.state {
            open.renewal = Some(Box::new(Renewal::begin(auth.id)));
            self.actions.push_back(Action::Verify(Verification { carrier, credential: auth.credential }));
        }
    }

    fn report_disabled_carrier(&mut self, id: Option<&FrameId>) {
        let carrier = self.protocol().carrier();
        let detail = "the route's `carriers` setting does not list it";
        self.report(&Refusal::new(RefusalKind::CarrierDisabled(carrier), detail), id);
    }

    fn count_as_use(&mut self, now: Now) {
        if let State::Open(open) = &mut self.state
            && open.life.counts_as_use(&open.permit, now)
        {
            self.actions.push_back(Action::TouchSession);
        }
    }

    /// The verdict on a new credential in band.
    pub(super) fn renew(&mut self, now: Now, verdict: Result<Permit, Refusal>) {
        let State::Open(open) = &mut self.state else { return };
        let Some(renewal) = open.renewal.take() else { return };
        match verdict {
            // The old credential still holds, so the connection does too: the answer says that nothing was extended.
            Err(refusal) => self.report(&refusal, renewal.id.as_ref()),
            Ok(permit) if !open.permit.principal().anonymous && permit.principal().id != open.permit.principal().id => {
                self.end(now, CloseCause::Forbidden);
            }
            // The rules have changed since it was begun.
            Ok(_) if self.rules.message_carrier().is_none() => self.report_disabled_carrier(renewal.id.as_ref()),
            Ok(permit) => {
                let permit = renewal.brought_up_to_date(permit);
                self.apply(now, permit, renewal.id);
            }
        }
    }

    /// Puts a new permit in the old one's place; the application is told before the client is.
    pub(super) fn apply(&mut self, now: Now, permit: Permit, id: Option<FrameId>) {
        let State::Open(open) = &mut self.state else { return };
        open.permit = open.life.renew(self.id, &self.rules, permit, now);
        open.applying = Some(Applying::Renewed { id });
        self.actions.push_back(Action::PermitChanged(PermitChange::Renewed));
    }

    /// The application has taken in the change of the permit: the answer to [`Action::PermitChanged`].
    pub fn handle_permit_changed(&mut self, now: Now, answer: &ApplicationAnswer) {
        let State::Open(open) = &mut self.state else { return };
        match open.applying.take() {
            Some(Applying::Renewed { id }) => self.tell_authenticated(now, answer, id.as_ref()),
            Some(Applying::RightsChanged) | None => {}
        }
    }

    /// The credential was revoked: from here on no data frame is begun in either direction (req H4).
    ///
    /// Where only the user's roles changed, what says that they have the old ones has ended, as it does when it is too old.
    pub fn handle_revoked(&mut self, now: Now, cause: RevocationCause) {
        if !matches!(self.state, State::Open(_)) {
            return;
        }
        let waits_again = self.protocol().waits_again();
        if !cause.ends_sessions() && !waits_again {
            return self.end(now, CloseCause::Expired);
        }
        self.actions.retain(|action| matches!(action, Action::Accept));
        self.actions.push_back(Action::DiscardQueued);
        if waits_again {
            let after = if cause.ends_sessions() { CloseCause::Revoked } else { CloseCause::Expired };
            self.deauthenticate(now, Some(cause), after);
        } else {
            self.end(now, CloseCause::Revoked);
        }
    }

    /// The credential has ended.
    pub(super) fn expire(&mut self, now: Now) {
        if self.protocol().waits_again() {
            self.deauthenticate(now, None, CloseCause::Expired);
        } else {
            self.end(now, CloseCause::Expired);
        }
    }

    /// Registering it after [`Action::Opened`] found that its user or session has as many connections as they may: it ends before the
    /// client is told that it is authenticated.
    pub fn handle_one_too_many(&mut self, now: Now, retry_after: Duration) {
        if matches!(self.state, State::Open(_)) {
            self.actions.clear();
            self.end_with(now, CloseCause::TooMany, Some(retry_after));
        }
    }

    /// Answer a refused renewal; the connection goes on.
    pub(super) fn report(&mut self, refusal: &Refusal, id: Option<&FrameId>) {
        let carrier = self.rules.message_carrier();
        self.actions.push_back(Action::Refused { refusal: refusal.clone(), carrier });
        self.tell_refused(refusal, id);
    }

    /// Tells the client of a refusal.
    pub(super) fn tell_refused(&mut self, refusal: &Refusal, id: Option<&FrameId>) {
        let hint = refusal.hint().or_else(|| self.protocol().hint(refusal));
        self.tell(&Event::Refused { error: refusal.reason(), code: refusal.code(), hint: hint.as_deref(), id });
    }
}
