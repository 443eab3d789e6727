//! What is done to users, sessions and keys in one transaction, as data.

use std::time::Duration;

use usher_auth::UnixTime;
use usher_auth::ids::{Role, SessionId, UserId};
use usher_auth::revocation::{Revocation, RevocationCause, RevocationTarget};
use usher_auth::secret::HashedToken;
use usher_auth::session::{RefreshToken, Session};
use usher_auth::user::{PasswordHash, User};

/// A change of a user of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserChange {
    /// Another password. The user's sessions end.
    Password(PasswordHash),
    /// Other roles, kept sorted and without repetition. What says that the user has the old ones ends; sessions do not.
    Roles(Vec<Role>),
    /// Refuse every credential of the user. Sessions end; API keys stay, and count again once the user is enabled.
    Disable,
    /// Accept credentials of a disabled user again. Sessions that ended stay ended.
    Enable,
    /// Remove the user with sessions and API keys.
    Remove,
}

impl UserChange {
    /// Why credentials end with this change; `None` if none do.
    pub const fn cause(&self) -> Option<RevocationCause> {
        match self {
            Self::Password(_) => Some(RevocationCause::PasswordChanged),
            Self::Roles(_) => Some(RevocationCause::RolesChanged),
            Self::Disable => Some(RevocationCause::UserDisabled),
            Self::Enable => None,
            Self::Remove => Some(RevocationCause::UserDeleted),
        }
    }

    /// The revocation that belongs to this change of `user`.
    pub fn revocation(&self, user: &UserId, when: RevocationTimes) -> Option<Revocation> {
        Some(when.revocation_of_user(user, self.cause()?))
    }
}

/// When something is revoked, and until when that is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RevocationTimes {
    /// Now.
    pub at: UnixTime,
    /// When the revocation may be forgotten.
    pub forget_at: UnixTime,
}

impl RevocationTimes {
    /// The revocation of everything that a user has now.
    pub fn revocation_of_user(self, user: &UserId, cause: RevocationCause) -> Revocation {
        let target = RevocationTarget::User { user: user.clone(), issued_before: self.at, except: None };
        self.revocation(target, cause)
    }

    /// The revocation of `target`.
    pub fn revocation(self, target: RevocationTarget, cause: RevocationCause) -> Revocation {
        Revocation { target, cause, at: self.at, forget_at: self.forget_at }
    }
}

/// A user after a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedUser {
    /// As the user is now; `None` if removed.
    pub user: Option<User>,
    /// Every revocation that is remembered with the change: of the user first, then of each session and each key that ended.
    pub revoked: Vec<Revocation>,
}

/// Another issuer's user whose credentials are refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BannedUser {
    /// Who.
    pub user: UserId,
    /// Since when.
    pub banned_at: UnixTime,
}

/// The start of a session. All of it happens, or none.
#[derive(Clone, Debug)]
pub struct NewSession<'a> {
    /// The session.
    pub session: &'a Session,
    /// Its first refresh token.
    pub refresh_token: &'a RefreshToken,
    /// What the session's refresh tokens have in common, hashed.
    pub refresh_family: HashedToken,
    /// The user and the password's hash when the password was found to be right. If the store has another user, other roles or another
    /// hash by now, no session is started: the password may have been changed while the old one was being checked.
    pub proven: (&'a User, &'a PasswordHash),
    /// A session that ends because this one takes its place.
    pub replaces: Option<&'a SessionId>,
    /// Most sessions of one user, this one included. Beyond it the oldest ones end.
    pub most: usize,
    /// For the revocations of the sessions that end.
    pub revocation: RevocationTimes,
}

/// What became of the start of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartedSession {
    /// It is there. With the revocations of the sessions that ended for it.
    Started(Vec<Revocation>),
    /// The user changed since the password was found to be right, and nothing was done.
    UserChanged,
}

/// What became of adding an API key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateApiKey {
    /// Added.
    Created,
    /// There is no such user; nothing was changed.
    NoSuchUser,
    /// The user is disabled; nothing was changed.
    Disabled,
    /// The user has as many as one may have; nothing was changed.
    TooMany,
}

/// What spends one refresh token and puts its successor in place.
#[derive(Clone, Debug)]
pub struct RefreshRotation {
    /// The token presented, hashed.
    pub presented: HashedToken,
    /// What it and its successors have in common, hashed.
    pub family: HashedToken,
    /// What takes its place; its state is `Fresh`.
    pub successor: RefreshToken,
    /// The successor in clear, sealed under a key derived from the presented token.
    pub sealed_successor: Vec<u8>,
    /// Now.
    pub now: UnixTime,
    /// Now, by a clock that is not set back: from this the retry window is measured.
    pub used_at: UnixTime,
    /// For how long after its first use a spent token may be retried, if its successor is still unused. As long before that use, too, where the clocks
    /// of two processes differ.
    pub retry_window: Duration,
    /// Until when the revocation of the session is remembered, if the token is found to be reused.
    pub forget_reuse_at: UnixTime,
}

/// What became of a rotation. It is decided in one transaction: of two at once, one rotates and the other retries or is reuse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefreshOutcome {
    /// The presented token was fresh and is spent now (as which it is returned), the successor is in place, and this was a use of the
    /// session.
    Rotated(RefreshToken),
    /// The presented token was spent within the window and its successor is still fresh: hand that out again.
    Retried {
        /// The token presented.
        presented: RefreshToken,
        /// The successor it was given before, sealed.
        sealed_successor: Vec<u8>,
        /// That successor.
        successor: RefreshToken,
    },
    /// The presented token is spent and may not be retried. Its session has ended with this call.
    Reused(EndedFamily),
    /// The presented token was not used in time.
    Expired(RefreshToken),
    /// No such token: see [`crate::RefreshTokenStore::end_refresh_family`].
    Unknown,
}

/// A session that ended because a spent refresh token of it came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedFamily {
    /// The session.
    pub session: SessionId,
    /// Its user.
    pub user: UserId,
    /// The revocation of the session, which is remembered.
    pub revoked: Vec<Revocation>,
}
