//! What can be revoked and why, and [`RevocationIndex`]: what has been revoked.

mod index;

pub use index::RevocationIndex;

use crate::ids::{ApiKeyId, IssuerName, IssuerSessionId, IssuerSubject, SessionId, TokenId, UserId};
use crate::time::UnixTime;

/// What a revocation ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RevocationTarget {
    /// A session with its cookie, access and refresh tokens.
    Session(SessionId),
    /// All sessions of a user that exist when it is carried out, perhaps but one, and tokens that another issuer gave the user before a
    /// moment.
    ///
    /// The sessions end by their ids: whoever carries this out revokes each one as [`Self::Session`]. The moment counts for other
    /// issuers' tokens alone, which belong to no session of ours. So a wall clock that was set neither spares a session nor ends a later
    /// one.
    User {
        /// Whose credentials.
        user: UserId,
        /// Another issuer's tokens end if they were issued before this, its leeway added.
        issued_before: UnixTime,
        /// "All but this one".
        except: Option<SessionId>,
    },
    /// One token by its `jti`, of an issuer (`None` is ourselves).
    Token(Option<IssuerName>, TokenId),
    /// One API key.
    ApiKey(ApiKeyId),
    /// The tokens of one session of another issuer, by the `sid` that is in them. An issuer does not use a `sid` again.
    IssuerSession(IssuerName, IssuerSessionId),
    /// The tokens that another issuer gave one of its users before a moment, by the `sub` that is in them. Sessions of ours and tokens that
    /// the issuer gives later are not meant.
    IssuerSubject {
        /// The issuer.
        issuer: IssuerName,
        /// `sub`, before it is mapped to a user of ours.
        subject: IssuerSubject,
        /// Tokens end if they were issued before this, the issuer's leeway added.
        issued_before: UnixTime,
    },
}

/// Why something was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RevocationCause {
    /// The user logged out.
    Logout,
    /// The user logged out everywhere.
    LogoutEverywhere,
    /// The password changed.
    PasswordChanged,
    /// The user was disabled.
    UserDisabled,
    /// The user has other roles: what says that they have the old ones ends, the session does not.
    RolesChanged,
    /// The user was removed.
    UserDeleted,
    /// The key was revoked.
    KeyRevoked,
    /// An administrator ended it.
    Administrator,
    /// A spent refresh token came back.
    RefreshReuse,
    /// Another issuer's user was banned.
    UserBanned,
    /// The user had as many sessions as one may have, and began another.
    SessionLimit,
}

impl RevocationCause {
    /// Every cause.
    pub const ALL: [Self; 11] = [
        Self::Logout,
        Self::LogoutEverywhere,
        Self::PasswordChanged,
        Self::UserDisabled,
        Self::RolesChanged,
        Self::UserDeleted,
        Self::KeyRevoked,
        Self::Administrator,
        Self::RefreshReuse,
        Self::UserBanned,
        Self::SessionLimit,
    ];

    /// Its stable name in the store, the audit and the metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::LogoutEverywhere => "logout_everywhere",
            Self::PasswordChanged => "password_changed",
            Self::UserDisabled => "user_disabled",
            Self::RolesChanged => "roles_changed",
            Self::UserDeleted => "user_deleted",
            Self::KeyRevoked => "key_revoked",
            Self::Administrator => "administrator",
            Self::RefreshReuse => "refresh_reuse",
            Self::UserBanned => "user_banned",
            Self::SessionLimit => "session_limit",
        }
    }

    /// Whether it ends the user's sessions. Other roles do not: the next token has them.
    pub const fn ends_sessions(self) -> bool {
        !matches!(self, Self::RolesChanged)
    }

    /// Whether it removes the user's API keys, too. A key is a credential of its own, with a list, a label and a revocation of
    /// its own: it goes when its owner goes, not when the owner logs out or changes the password (nothing about a key is known
    /// to an intruder who knew the password). A disabled user's keys stay, and are refused while the user is disabled.
    pub const fn removes_api_keys(self) -> bool {
        matches!(self, Self::UserDeleted)
    }

    /// The cause of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.as_str() == name)
    }
}

/// One revocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// What it ends.
    pub target: RevocationTarget,
    /// Why.
    pub cause: RevocationCause,
    /// When it was decided.
    pub at: UnixTime,
    /// When no credential it could end is alive any more, so that it may be forgotten.
    pub forget_at: UnixTime,
}

/// A user all of whose credentials are refused for as long as this stands: a disabled user of ours, or another issuer's banned one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockedUser {
    /// Who is refused.
    pub user: UserId,
    /// [`RevocationCause::UserDisabled`] or [`RevocationCause::UserBanned`].
    pub cause: RevocationCause,
}
