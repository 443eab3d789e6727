//! What changes about an open connection from elsewhere: its session was renewed, its user's rights changed, its route has other
//! rules, or its credential was revoked with a margin.

use std::sync::Arc;
use std::time::Duration;

use super::{Action, Answer, Connection, State};
use crate::close_code::CloseCause;
use crate::ids::{SessionId, TokenId};
use crate::permit::Permit;
use crate::revocation::RevocationCause;
use crate::room::RoomName;
use crate::route::RouteRules;
use crate::session::{Session, SessionLimits};
use crate::time::{Now, UnixTime};
use crate::user::User;
use crate::verify;
use crate::wire::{Frame, FrameId, ServerMessage};

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

/// A new credential that is being verified, which may take seconds. What changes meanwhile is in force at once, and once more on what the
/// verification brings: it may have begun before the change.
#[derive(Debug)]
pub(super) struct Renewal {
    /// Of the message that brought the credential.
    pub(super) id: Option<FrameId>,
    user: Option<(User, UnixTime)>,
    used: Option<(SessionId, UnixTime)>,
    renewed: Option<SessionRenewal>,
}

impl Renewal {
    pub(super) fn begin(id: Option<FrameId>) -> Self {
        Self { id, user: None, used: None, renewed: None }
    }

    /// The new permit with what changed since it was asked for, as if the verification had been done before.
    pub(super) fn brought_up_to_date(&self, permit: Permit) -> Permit {
        let mut permit = permit;
        if let Some(renewal) = &self.renewed
            && renewal.issued_at >= permit.credential().issued_at
            && let Some(renewed) = verify::renewed_session(&permit, renewal)
        {
            permit = renewed;
        }
        if let Some((session, expires_at)) = &self.used
            && goes_on_with(&permit, session)
            && permit.expires_at().is_some_and(|end| end < *expires_at)
        {
            permit = permit.until(*expires_at);
        }
        if let Some((user, read_at)) = &self.user
            && let Some(changed) = verify::changed_user(&permit, user, *read_at)
        {
            permit = changed;
        }
        permit
    }
}

/// Whether the session itself let in the holder of `permit`.
fn goes_on_with(permit: &Permit, session: &SessionId) -> bool {
    let facts = permit.credential();
    facts.session.as_ref() == Some(session) && facts.token.is_none()
}

impl Connection {
    /// Whether [`Self::handle_session_renewed`] and [`Self::handle_user_changed`] do anything now: a user is authenticated, and no other
    /// change is being applied. A caller that has one of them to tell keeps it until then.
    pub fn takes_amendments(&self) -> bool {
        matches!(&self.state, State::Open(open) if open.applying.is_none())
    }

    /// The session behind the connection was renewed: it goes on for as long as the new access token or the session does,
    /// whichever it was let in by. The answer is as that to a renewal in band, without an `id`.
    pub fn handle_session_renewed(&mut self, now: Now, renewal: &SessionRenewal) {
        self.handle_timeout(now);
        if !self.takes_amendments() {
            return;
        }
        if let Some(verifying) = self.verifying() {
            verifying.renewed = Some(renewal.clone());
        }
        let Some(permit) = self.permit().and_then(|permit| verify::renewed_session(permit, renewal)) else { return };
        self.apply(now, permit, Answer::Authenticated { id: None });
    }

    fn verifying(&mut self) -> Option<&mut Renewal> {
        match &mut self.state {
            State::Open(open) => open.renewal.as_deref_mut(),
            _ => None,
        }
    }

    /// The session behind the connection was used, here or on another of its connections, and ends at `expires_at` now, as the caller has
    /// read from the store. Only what was let in by the session itself goes on with it; a connection that is not open stays so.
    pub fn handle_session_used(&mut self, now: Now, session: &SessionId, expires_at: UnixTime) {
        self.handle_timeout(now);
        if let Some(verifying) = self.verifying() {
            verifying.used = Some((session.clone(), expires_at));
        }
        let State::Open(open) = &mut self.state else { return };
        if !goes_on_with(&open.permit, session) {
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
        if let Some(verifying) = self.verifying()
            && verifying.user.as_ref().is_none_or(|(_, earlier)| *earlier <= read_at)
        {
            verifying.user = Some((user.clone(), read_at));
        }
        let Some(permit) = self.permit().and_then(|permit| verify::changed_user(permit, user, read_at)) else { return };
        let State::Open(open) = &mut self.state else { return };
        // Neither the end nor the margin of a revocation moves: nobody has proved anything.
        open.permit = permit;
        open.applying = Some(Answer::RoomsLost);
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
