//! While somebody is in: messages, renewal, and what ends it.

use std::time::Duration;

use super::{Action, Answer, Connection, Life, Open, Renewal, State, Verification};
use crate::carriers::{Carrier, FirstMessage};
use crate::close_code::CloseCause;
use crate::permit::Permit;
use crate::refusal::{Refusal, RefusalKind};
use crate::revocation::RevocationCause;
use crate::room::RoomName;
use crate::route::Dialect;
use crate::time::{Now, UnixTime};
use crate::wire::octoprint::{OctoPrintEvent, ReauthReason};
use crate::wire::{ClientMessage, Frame, FrameId, InvalidFrame, ServerMessage};

impl Connection {
    /// Let the holder of `permit` in. The only way to [`State::Open`]; `permit` comes from [`crate::verify`].
    pub(super) fn open(&mut self, now: Now, permit: Permit, id: Option<&FrameId>) {
        let (life, permit) = Life::begin(self.id, &self.rules, permit, now);
        self.actions.push_back(Action::Opened);
        self.say_authenticated(&permit, &[], id, now);
        self.state = State::Open(Open { permit, life, renewal: None, applying: None });
    }

    pub(super) fn message(&mut self, now: Now, text: &str) {
        match ClientMessage::parse(text) {
            Ok(ClientMessage::Ping { id }) => {
                self.count_as_use(now);
                self.actions.push_back(Action::Send(Frame::json(&ServerMessage::Pong { id: id.as_ref() })));
            }
            Ok(ClientMessage::Auth(auth)) => {
                self.begin_renewal(auth);
            }
            Ok(message) => {
                self.count_as_use(now);
                self.actions.push_back(Action::Deliver(message));
            }
            // What is no `usher.v1` may be OctoPrint's: looked at last, so that a message is read once.
            Err(InvalidFrame { error, code, id }) => {
                if let Dialect::SockJs(rules) = self.rules.dialect
                    && self.take_sockjs_message(rules, text)
                {
                    return;
                }
                let frame = self.error(&error, code, None, id.as_ref());
                self.actions.push_back(Action::Send(frame));
            }
        }
    }

    /// A new credential came in a message.
    pub(super) fn begin_renewal(&mut self, auth: FirstMessage) {
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
        let carrier = match self.rules.dialect {
            Dialect::Usher => Carrier::FirstMessage,
            Dialect::SockJs(_) => Carrier::Sockjs,
        };
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
                self.apply(now, permit, Answer::Authenticated { id: renewal.id });
            }
        }
    }

    /// Put a new permit in the old one's place; the rooms are looked at again before `answer` is given.
    pub(super) fn apply(&mut self, now: Now, permit: Permit, answer: Answer) {
        let State::Open(open) = &mut self.state else { return };
        open.permit = open.life.renew(self.id, &self.rules, permit, now);
        open.applying = Some(answer);
        self.actions.push_back(Action::Renewed);
    }

    /// The rooms were looked at again after [`Action::Renewed`]; these were lost.
    pub fn handle_renewed(&mut self, now: Now, rooms_lost: &[RoomName]) {
        let State::Open(open) = &mut self.state else { return };
        match open.applying.take() {
            Some(Answer::Authenticated { id }) => {
                let permit = open.permit.clone();
                let lost: Vec<&str> = rooms_lost.iter().map(RoomName::as_str).collect();
                self.say_authenticated(&permit, &lost, id.as_ref(), now);
            }
            Some(Answer::RoomsLost) if !rooms_lost.is_empty() => self.tell_rooms_lost(rooms_lost),
            Some(Answer::RoomsLost) | None => {}
        }
    }

    /// The credential was revoked: from here on no data frame is begun in either direction (req H4).
    ///
    /// Where only the user's roles changed, what says that they have the old ones has ended, as it does when it is too old.
    pub fn handle_revoked(&mut self, now: Now, cause: RevocationCause) {
        if !matches!(self.state, State::Open(_)) {
            return;
        }
        if !cause.ends_sessions() && !self.rules.dialect.is_octoprint() {
            return self.end(now, CloseCause::Expired);
        }
        self.actions.retain(|action| matches!(action, Action::Accept));
        self.actions.push_back(Action::DiscardQueued);
        if self.rules.dialect.is_octoprint() {
            let after = if cause.ends_sessions() { CloseCause::Revoked } else { CloseCause::Expired };
            self.send_away(now, cause.into(), after);
        } else {
            self.end(now, CloseCause::Revoked);
        }
    }

    /// The credential has ended.
    pub(super) fn expire(&mut self, now: Now) {
        if self.rules.dialect.is_octoprint() {
            self.send_away(now, ReauthReason::Stale, CloseCause::Expired);
        } else {
            self.end(now, CloseCause::Expired);
        }
    }

    /// Registering it after [`Action::Opened`] found that its user or session has as many connections as they may: it ends before it
    /// has said that anybody is in.
    pub fn handle_one_too_many(&mut self, now: Now, retry_after: Duration) {
        if matches!(self.state, State::Open(_)) {
            self.actions.clear();
            self.end_with(now, CloseCause::TooMany, Some(retry_after));
        }
    }

    /// End an open or waiting connection for `cause`, saying so first.
    pub fn handle_end(&mut self, now: Now, cause: CloseCause, retry_after: Option<Duration>) {
        if matches!(self.state, State::Open(_) | State::Waiting(_) | State::Verifying { .. }) {
            self.end_with(now, cause, retry_after);
        }
    }

    fn say_authenticated(&mut self, permit: &Permit, rooms_lost: &[&str], id: Option<&FrameId>, now: Now) {
        if self.rules.dialect.is_octoprint() {
            return self.say_authenticated_to_octoprint(permit, rooms_lost, now);
        }
        self.actions.push_back(Action::Send(Frame::json(&ServerMessage::Authenticated {
            user: permit.principal().into(),
            connection: self.id,
            carrier: permit.carrier().map(Carrier::as_str),
            expires_at: permit.expires_at().map(UnixTime::as_seconds),
            rooms_lost,
            id,
        })));
    }

    /// Answer a refused renewal; the connection goes on.
    pub(super) fn report(&mut self, refusal: &Refusal, id: Option<&FrameId>) {
        let carrier = self.rules.message_carrier();
        self.actions.push_back(Action::Refused { refusal: refusal.clone(), carrier });
        let error = self.error_frame(refusal, id);
        self.actions.push_back(Action::Send(error));
    }

    /// What a client is told of a refusal.
    pub(super) fn error_frame(&self, refusal: &Refusal, id: Option<&FrameId>) -> Frame {
        let hint = refusal.hint().or_else(|| self.sockjs_hint(refusal));
        self.error(refusal.reason(), refusal.code(), hint.as_deref(), id)
    }

    fn error(&self, error: &str, code: &str, hint: Option<&str>, id: Option<&FrameId>) -> Frame {
        if self.rules.dialect.is_octoprint() {
            Frame::json(&OctoPrintEvent::Error { error, code, hint })
        } else {
            Frame::json(&ServerMessage::Error { error, code, hint, room: None, id })
        }
    }
}
