//! Rules that every backend applies alike, in one place: for those who implement a backend.

use std::time::Duration;

use usher_auth::UnixTime;
use usher_auth::ids::{ApiKeyId, Role, SessionId};
use usher_auth::revocation::{Revocation, RevocationCause, RevocationTarget};
use usher_auth::secret::HashedToken;
use usher_auth::session::{RefreshState, RefreshToken};
use usher_auth::user::{PasswordHash, User};

use crate::{RefreshOutcome, RefreshRotation, RevocationTimes};

/// How many spent refresh tokens of one session are kept, so that they can be retried. Those before are known by their family.
pub const SPENT_TOKENS_KEPT: usize = 20;

/// What a backend has to do with a refresh token that it found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RotationDecision {
    /// In one transaction, put `successor` in place and `spent` in the place of the token presented; answer
    /// [`RefreshOutcome::Rotated`] with `spent`. The session was used now, and of its spent tokens those of
    /// [`spent_beyond_limit`] go.
    Rotate {
        /// The token presented, as it is from now on.
        spent: RefreshToken,
        /// The new one.
        successor: RefreshToken,
    },
    /// Revoke the session of this token, which came back, in the same transaction: see [`reuse_times`] and [`reuse_revocation`].
    EndSession(RefreshToken),
    /// Change nothing and answer this.
    Answer(RefreshOutcome),
}

/// Decide about a rotation whose presented token was found (RFC 9700 §4.14.2; req L1, L2). `successor` is what the store holds
/// as the successor of a token that is spent; of a fresh one there is none.
///
/// Answering a thief as a retry hands out a token of a session that its owner has not refreshed yet, within the window alone;
/// answering a retry as reuse logs somebody out whose network failed.
pub fn decide_rotation(
    rotation: &RefreshRotation,
    presented: RefreshToken,
    successor: Option<RefreshToken>,
) -> RotationDecision {
    use RotationDecision::Answer;

    let over = presented.expires_at <= rotation.now;
    match (&presented.state, successor) {
        (RefreshState::Fresh, _) if over => Answer(RefreshOutcome::Expired(presented)),
        (RefreshState::Fresh, _) => {
            let successor = RefreshToken {
                session: presented.session.clone(),
                user: presented.user.clone(),
                state: RefreshState::Fresh,
                ..rotation.successor.clone()
            };
            let state = RefreshState::Spent {
                at: rotation.now,
                successor: successor.secret,
                sealed_successor: rotation.sealed_successor.clone(),
            };
            RotationDecision::Rotate { spent: RefreshToken { state, ..presented }, successor }
        }
        (RefreshState::Spent { at, sealed_successor, .. }, Some(successor))
            if within(rotation.retry_window, *at, rotation.now) && successor.state == RefreshState::Fresh =>
        {
            let sealed_successor = sealed_successor.clone();
            Answer(RefreshOutcome::Retried { presented, sealed_successor, successor })
        }
        (RefreshState::Spent { .. }, _) => RotationDecision::EndSession(presented),
    }
}

/// Whether two moments are no further apart than `window`. A clock that was set back must not make a spent token good again.
fn within(window: Duration, one: UnixTime, other: UnixTime) -> bool {
    one.since(other).max(other.since(one)) <= window
}

/// What is remembered of a revocation: itself, and one for each session and each API key that it removed.
pub fn with_removed(revocation: &Revocation, removed: Removed) -> Vec<Revocation> {
    let sessions = removed.sessions.into_iter().map(RevocationTarget::Session);
    let others = sessions.chain(removed.api_keys.into_iter().map(RevocationTarget::ApiKey));
    let others = others.filter(|target| *target != revocation.target);
    let others = others.map(|target| Revocation { target, ..revocation.clone() });
    std::iter::once(revocation.clone()).chain(others).collect()
}

/// What a revocation removed, each in order.
#[derive(Debug, Default)]
pub struct Removed {
    /// Sessions.
    pub sessions: Vec<SessionId>,
    /// API keys.
    pub api_keys: Vec<ApiKeyId>,
}

/// When the session of a refresh token ends that came back.
pub fn reuse_times(rotation: &RefreshRotation) -> RevocationTimes {
    RevocationTimes { at: rotation.now, forget_at: rotation.forget_reuse_at }
}

/// The revocation of the session of a refresh token that came back.
pub fn reuse_revocation(when: RevocationTimes, session: &SessionId) -> Revocation {
    when.revocation(RevocationTarget::Session(session.clone()), RevocationCause::RefreshReuse)
}

/// Whether the user in the store is the one whose password was found to be right.
pub fn is_still(found: Option<&(User, Option<PasswordHash>)>, proven: (&User, &PasswordHash)) -> bool {
    found.is_some_and(|(user, hash)| {
        !user.disabled
            && user.created_at == proven.0.created_at
            && user.roles == proven.0.roles
            && hash.as_ref() == Some(proven.1)
    })
}

/// Which of a user's other sessions end so that one more fits: the oldest ones. `sessions` are ids with the moments they began.
pub fn beyond_limit(mut sessions: Vec<(UnixTime, SessionId)>, most: usize) -> Vec<SessionId> {
    sessions.sort();
    let too_many = (sessions.len() + 1).saturating_sub(most.max(1));
    sessions.into_iter().take(too_many).map(|(_, id)| id).collect()
}

/// Which of a session's spent refresh tokens need not be kept, `spent` being what is kept with the moments of their first use: those
/// spent longest ago, and never the one that was spent just now. Presented again, one that was dropped is known by its family.
pub fn spent_beyond_limit(mut spent: Vec<(UnixTime, HashedToken)>, just_now: &HashedToken) -> Vec<HashedToken> {
    spent.retain(|(_, secret)| secret != just_now);
    spent.sort_by_key(|(at, _)| *at);
    let too_many = (spent.len() + 1).saturating_sub(SPENT_TOKENS_KEPT);
    spent.into_iter().take(too_many).map(|(_, secret)| secret).collect()
}

/// Roles as they are kept: sorted, without repetition.
pub fn normalised_roles(roles: &[Role]) -> Vec<Role> {
    let mut roles = roles.to_vec();
    roles.sort();
    roles.dedup();
    roles
}
