//! Rules that every backend applies alike, in one place: for those who implement a backend.

use usher_auth::ids::{Role, SessionId};
use usher_auth::revocation::{Revocation, RevocationTarget};
use usher_auth::session::{RefreshState, RefreshToken};

use crate::{RefreshOutcome, RefreshRotation};

/// What a backend has to do with a refresh token that it found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RotationDecision {
    /// In one transaction, put `successor` in place and `spent` in the place of the token presented; answer
    /// [`RefreshOutcome::Rotated`] with `spent`.
    Rotate {
        /// The token presented, as it is from now on.
        spent: RefreshToken,
        /// The new one.
        successor: RefreshToken,
    },
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

    if presented.expires_at <= rotation.now {
        return Answer(RefreshOutcome::Expired(presented));
    }
    match (&presented.state, successor) {
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
            if *at >= rotation.retry_until_spent_since && successor.state == RefreshState::Fresh =>
        {
            let sealed_successor = sealed_successor.clone();
            Answer(RefreshOutcome::Retried { presented, sealed_successor, successor })
        }
        (RefreshState::Spent { .. }, _) => Answer(RefreshOutcome::Reused(presented)),
    }
}

/// What is remembered of a revocation: itself, and one for each of the sessions that it removed.
pub fn with_removed_sessions(revocation: &Revocation, removed: impl IntoIterator<Item = SessionId>) -> Vec<Revocation> {
    let sessions = removed.into_iter().map(RevocationTarget::Session).filter(|target| *target != revocation.target);
    let sessions = sessions.map(|target| Revocation { target, ..revocation.clone() });
    std::iter::once(revocation.clone()).chain(sessions).collect()
}

/// Roles as they are kept: sorted, without repetition.
pub fn normalised_roles(roles: &[Role]) -> Vec<Role> {
    let mut roles = roles.to_vec();
    roles.sort();
    roles.dedup();
    roles
}
