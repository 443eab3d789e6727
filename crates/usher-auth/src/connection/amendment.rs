//! What changes about an open connection from elsewhere: its session was renewed, its user's rights changed, its route has other
//! rules, or its credential was revoked with a margin.

use std::sync::Arc;
use std::time::Duration;

use super::{Action, Answer, Connection, Renewal, State};
use crate::close_code::CloseCause;
use crate::ids::{SessionId, TokenId};
use crate::revocation::RevocationCause;
use crate::room::RoomName;
use crate::route::RouteRules;
use crate::session::{Session, SessionLimits};
use crate::time::{Now, UnixTime};
use crate::user::User;
use crate::verify;
use crate::wire::{Frame, ServerMessage};

/// A session was proved anew over HTTP: by its refresh token or its cookie. It is made of the store's records, and moves what is open under
/// that session and user alone. It cannot be written down:
///
/// ```compile_fail
/// use usher_auth::UnixTime;
/// use usher_auth::connection::SessionRenewal;
/// use usher_auth::ids::{SessionId, TokenId};
/// use usher_auth::user::User;
///
/// fn forge(user: User) -> SessionRenewal {
///     let (session, token_id) = (SessionId::from_random([1; 16]), TokenId::from_random([1; 16]));
///     let (session_expires_at, token_expires_at) = (UnixTime::MAX, UnixTime::MAX);
///     SessionRenewal { session, session_expires_at, user, token_id, issued_at: UnixTime::EPOCH, token_expires_at }
/// }
/// ```
#[derive(Clone, Debug)]
pub struct SessionRenewal {
    pub(crate) session: SessionId,
    /// When it ends now.
    pub(crate) session_expires_at: UnixTime,
    /// Its user as they are now.
    pub(crate) user: User,
    /// The new access token's `jti`.
    pub(crate) token_id: TokenId,
    pub(crate) issued_at: UnixTime,
    pub(crate) token_expires_at: UnixTime,
}

/// The access token that a session was given when it was proved anew.
#[derive(Clone, Debug)]
pub struct RenewedToken {
    /// `jti`.
    pub token_id: TokenId,
    /// `iat`.
    pub issued_at: UnixTime,
    /// `exp`.
    pub expires_at: UnixTime,
}

impl SessionRenewal {
    /// The renewal of `session`, as it is after this use; `None` if `user` is another one's record.
    pub fn new(session: &Session, user: &User, limits: SessionLimits, token: RenewedToken) -> Option<Self> {
        (session.user == user.id).then(|| Self {
            session: session.id.clone(),
            session_expires_at: session.expires_at(limits),
            user: user.clone(),
            token_id: token.token_id,
            issued_at: token.issued_at,
            token_expires_at: token.expires_at,
        })
    }

    /// The session.
    pub fn session(&self) -> &SessionId {
        &self.session
    }
}

impl Connection {
    /// Whether [`Self::handle_session_renewed`] and [`Self::handle_user_changed`] do anything now: somebody is in, and no new
    /// credential is being looked at. Whoever has one of them to tell keeps it until then.
    pub fn takes_amendments(&self) -> bool {
        matches!(&self.state, State::Open(open) if matches!(open.renewal, Renewal::None))
    }

    /// The session behind the connection was renewed: it goes on for as long as the new access token or the session does,
    /// whichever it was let in by. The answer is as that to a renewal in band, without an `id`.
    pub fn handle_session_renewed(&mut self, now: Now, renewal: &SessionRenewal) {
        self.handle_timeout(now);
        if !self.takes_amendments() {
            return;
        }
        let Some(permit) = self.permit().and_then(|permit| verify::renewed_session(permit, renewal)) else { return };
        self.apply(now, permit, Answer::Authenticated { id: None });
    }

    /// The session behind the connection was used, here or on another of its connections, and ends at `expires_at` now, as the caller has
    /// read from the store. Only what was let in by the session itself goes on with it; a connection that is not open stays so.
    pub fn handle_session_used(&mut self, now: Now, session: &SessionId, expires_at: UnixTime) {
        self.handle_timeout(now);
        let State::Open(open) = &mut self.state else { return };
        let facts = open.permit.credential();
        if facts.session.as_ref() != Some(session) || facts.token.is_some() {
            return;
        }
        open.permit = open.life.prolong(self.id, &self.rules, open.permit.clone().until(expires_at), now);
    }

    /// The user has other roles or another name since `read_at`.
    pub fn handle_user_changed(&mut self, now: Now, user: &User, read_at: UnixTime) {
        self.handle_timeout(now);
        if !self.takes_amendments() {
            return;
        }
        let Some(permit) = self.permit().and_then(|permit| verify::changed_user(permit, user, read_at)) else { return };
        let State::Open(open) = &mut self.state else { return };
        // Neither the end nor the margin of a revocation moves: nobody has proved anything.
        open.permit = permit;
        open.renewal = Renewal::Applying(Answer::RoomsLost);
        self.actions.push_back(Action::Renewed);
    }

    /// The route has other rules, or is gone. Who would not be let in any more, by the carrier and from the Origin they came with, is
    /// closed; the others go on under the new rules (req H14).
    pub fn handle_rules_changed(&mut self, now: Now, rules: Option<&Arc<RouteRules>>, origin: Option<&str>) {
        let admitted = rules.is_some_and(|rules| match &self.state {
            State::Open(open) => rules.would_admit(open.permit.carrier(), origin),
            State::Waiting(_) | State::Verifying { .. } => rules.would_await(),
            _ => true,
        });
        let (Some(rules), true) = (rules, admitted) else {
            self.handle_end(now, CloseCause::Forbidden, None);
            return;
        };
        let max_age_changed = self.rules.max_age != rules.max_age;
        self.rules = rules.clone();
        if let State::Open(open) = &mut self.state
            && max_age_changed
        {
            open.permit = open.life.prolong(self.id, rules, open.permit.clone(), now);
        }
    }

    /// The credential was revoked, but another may take its place within `margin`: the client is asked for one.
    pub fn handle_revoked_with_margin(&mut self, now: Now, margin: Duration, cause: RevocationCause) {
        let State::Open(open) = &mut self.state else { return };
        open.life.end_within(margin, cause, now);
        let deadline = now.unix.plus(margin);
        let deadline = open.permit.expires_at().map_or(deadline, |end| end.min(deadline));
        self.ask_for_renewal(deadline, deadline);
    }

    pub(super) fn tell_rooms_lost(&mut self, rooms: &[RoomName]) {
        let rooms: Vec<&str> = rooms.iter().map(RoomName::as_str).collect();
        self.actions.push_back(Action::Send(Frame::json(&ServerMessage::RoomsLost {
            rooms: &rooms,
            reason: "rights withdrawn",
        })));
    }
}
