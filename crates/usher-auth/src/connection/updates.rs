//! What changes about an open connection from elsewhere: its session was renewed, its user's rights changed, its route has other
//! rules, or its credential was revoked with a margin.

use std::sync::Arc;
use std::time::Duration;

use super::{Action, Applying, Connection, PermitChange, State};
use crate::close_code::CloseCause;
use crate::ids::SessionId;
use crate::permit::Permit;
use crate::revocation::RevocationCause;
use crate::route::RouteRules;
use crate::session_renewal::SessionRenewal;
use crate::time::{Now, UnixTime};
use crate::user::User;
use crate::verify;
use crate::wire::FrameId;

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

/// What changed about a connection from elsewhere, all at once. Of each kind only the last one matters.
#[derive(Clone, Debug, Default)]
pub struct PendingUpdates {
    /// The route has these rules now, or is gone.
    pub rules: Option<Option<Arc<RouteRules>>>,
    /// The credential was revoked, but another may take its place within that time.
    pub revoked_with_margin: Option<(Duration, RevocationCause)>,
    /// The session was used, and ends then.
    pub session_used: Option<(SessionId, UnixTime)>,
    /// The user was changed, and read again then.
    pub user: Option<(Arc<User>, UnixTime)>,
    /// The session was proved anew.
    pub session_renewed: Option<Arc<SessionRenewal>>,
}

impl Connection {
    /// Whether [`Self::handle_updates`] can take all kinds of updates now: the connection is authenticated, and no other change of its permit is
    /// being applied. A caller that has some to tell keeps them until then.
    pub fn takes_updates(&self) -> bool {
        matches!(&self.state, State::Open(open) if open.applying.is_none())
    }

    /// Takes in what changed from elsewhere. `origin` is the upgrade's. A change of the user and a renewal of the session that come together are
    /// one change of the permit, with one answer.
    pub fn handle_updates(&mut self, now: Now, updates: &PendingUpdates, origin: Option<&str>) {
        if let Some(rules) = &updates.rules {
            self.handle_rules_changed(now, rules.as_ref(), origin);
        }
        if let Some((margin, cause)) = updates.revoked_with_margin {
            self.handle_revoked_with_margin(now, margin, cause);
        }
        if let Some((session, expires_at)) = &updates.session_used {
            self.handle_session_used(now, session, *expires_at);
        }
        let (user, renewed) = (updates.user.as_ref(), updates.session_renewed.as_deref());
        self.change_permit(now, user.map(|(user, read_at)| (&**user, *read_at)), renewed);
    }

    /// The session behind the connection was renewed: it goes on for as long as the new access token or the session does,
    /// whichever it was let in by. The answer is as that to a renewal in band, without an `id`.
    pub fn handle_session_renewed(&mut self, now: Now, renewal: &SessionRenewal) {
        self.change_permit(now, None, Some(renewal));
    }

    /// The user has other roles or another name since `read_at`.
    pub fn handle_user_changed(&mut self, now: Now, user: &User, read_at: UnixTime) {
        self.change_permit(now, Some((user, read_at)), None);
    }

    fn change_permit(&mut self, now: Now, user: Option<(&User, UnixTime)>, renewal: Option<&SessionRenewal>) {
        self.handle_timeout(now);
        if !self.takes_updates() {
            return;
        }
        if let Some(verifying) = self.verifying() {
            if let Some((user, read_at)) = user
                && verifying.user.as_ref().is_none_or(|(_, earlier)| *earlier <= read_at)
            {
                verifying.user = Some((user.clone(), read_at));
            }
            if let Some(renewal) = renewal {
                verifying.renewed = Some(renewal.clone());
            }
        }
        let State::Open(open) = &mut self.state else { return };
        let changed = user.and_then(|(user, read_at)| verify::changed_user(&open.permit, user, read_at));
        let renewed =
            renewal.and_then(|renewal| verify::renewed_session(changed.as_ref().unwrap_or(&open.permit), renewal));
        match (renewed, changed) {
            (Some(permit), _) => self.apply(now, permit, None),
            (None, Some(permit)) => {
                // Neither the end nor the margin of a revocation moves: no credential was presented.
                open.permit = permit;
                open.applying = Some(Applying::RightsChanged);
                self.actions.push_back(Action::PermitChanged(PermitChange::RightsChanged));
            }
            (None, None) => {}
        }
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

    /// The route has other rules, or is gone. Who would not be let in any more, by the carrier and from the Origin they came with, is
    /// closed; the others go on under the new rules (req H14).
    pub fn handle_rules_changed(&mut self, now: Now, rules: Option<&Arc<RouteRules>>, origin: Option<&str>) {
        let admitted = rules.is_some_and(|rules| match &self.state {
            State::Open(open) => rules.would_admit(open.permit.carrier(), origin),
            _ if self.is_waiting() => rules.would_await(),
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
}
