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
                at: rotation.used_at,
                successor: successor.secret,
                sealed_successor: rotation.sealed_successor.clone(),
            };
            RotationDecision::Rotate { spent: RefreshToken { state, ..presented }, successor }
        }
        (RefreshState::Spent { at, sealed_successor, .. }, Some(successor))
            if within(rotation.retry_window, *at, rotation.used_at)
                // By the wall clock, too: it counts time in which no process ran.
                && rotation.now.since(successor.issued_at) <= rotation.retry_window
                && successor.state == RefreshState::Fresh =>
        {
            let sealed_successor = sealed_successor.clone();
            Answer(RefreshOutcome::Retried { presented, sealed_successor, successor })
        }
        (RefreshState::Spent { .. }, _) => RotationDecision::EndSession(presented),
    }
}

/// Whether two moments are no further apart than `window`.
fn within(window: Duration, one: UnixTime, other: UnixTime) -> bool {
    one.since(other).max(other.since(one)) <= window
}

/// What is remembered of a revocation: itself, and one for each session and each API key that it removed.
///
/// The end of a session is remembered for as long after the session's last use as the revocation is after its own moment, if that is longer:
/// the newest token of the session was issued at that use. A revocation that is decided while the wall clock is behind would else be
/// forgotten before the token expires.
pub fn with_removed(revocation: &Revocation, removed: Removed) -> Vec<Revocation> {
    let remembered_for = revocation.forget_at.since(revocation.at);
    // A revocation that ends no sessions removed some because of their times: see [`used_later`].
    let cause = if revocation.cause.ends_sessions() { revocation.cause } else { RevocationCause::Administrator };
    let mut first = revocation.clone();
    let mut others = Vec::new();
    for RemovedSession { id, last_seen_at } in removed.sessions {
        let forget_at = revocation.forget_at.max(last_seen_at.plus(remembered_for));
        let target = RevocationTarget::Session(id);
        if target == revocation.target {
            first.forget_at = forget_at;
        } else {
            others.push(Revocation { target, cause, forget_at, at: revocation.at });
        }
    }
    let keys = removed.api_keys.into_iter().map(RevocationTarget::ApiKey).filter(|key| *key != revocation.target);
    others.extend(keys.map(|target| Revocation { target, ..revocation.clone() }));
    std::iter::once(first).chain(others).collect()
}

/// A change of roles ends those of the user's sessions that were used after this moment, which is so much later than the change that the wall clock
/// must be behind: a token of theirs with the old roles says that it was issued after the change, and would be good once the clock is right.
pub fn used_later(change: &Revocation) -> UnixTime {
    change.at.plus(LONGEST_WAIT)
}

/// Longest that a change waits for its transaction: a session that was used meanwhile was not used by a clock that was ahead.
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// What a revocation removed, each in order.
#[derive(Debug, Default)]
pub struct Removed {
    /// Sessions.
    pub sessions: Vec<RemovedSession>,
    /// API keys.
    pub api_keys: Vec<ApiKeyId>,
}

/// A session that a revocation removed. They are ordered by their ids.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RemovedSession {
    /// Its id.
    pub id: SessionId,
    /// Its last use. No token of the session was issued later.
    pub last_seen_at: UnixTime,
}

/// When the session of a refresh token ends that came back.
pub fn reuse_times(rotation: &RefreshRotation) -> RevocationTimes {
    RevocationTimes { at: rotation.now, forget_at: rotation.forget_reuse_at }
}

/// The revocation of the session of a refresh token that came back.
pub fn reuse_revocation(when: RevocationTimes, session: &SessionId) -> Revocation {
    when.revocation(RevocationTarget::Session(session.clone()), RevocationCause::RefreshReuse)
}

/// Whether the user in the store is the one whose password was found to be right, unchanged and not disabled.
pub fn is_still(found: Option<&(User, Option<PasswordHash>)>, proven: (&User, &PasswordHash)) -> bool {
    found.is_some_and(|(user, hash)| !user.disabled && user == proven.0 && hash.as_ref() == Some(proven.1))
}

/// Which of a user's other sessions end so that one more fits: those that were remembered first. `sessions` are in the order in which they
/// were remembered, whatever the wall clock said then.
pub fn beyond_limit(mut sessions: Vec<SessionId>, most: usize) -> Vec<SessionId> {
    sessions.truncate((sessions.len() + 1).saturating_sub(most.max(1)));
    sessions
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
