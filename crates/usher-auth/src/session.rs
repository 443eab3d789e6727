//! A server-side session and its refresh tokens, as the store remembers them.

use std::time::Duration;

use crate::ids::{SessionId, UserId};
use crate::secret::HashedToken;
use crate::time::UnixTime;

/// One log-in: what the cookie, the access tokens and the refresh tokens that came of it belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Public name; `sid` in our tokens.
    pub id: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// Of the cookie's secret.
    pub secret: HashedToken,
    /// When the log-in was.
    pub created_at: UnixTime,
    /// Last use that counts against the idle limit.
    pub last_seen_at: UnixTime,
    /// Where the log-in came from, for the owner's list of sessions.
    pub client_ip: Option<String>,
    /// The client's `User-Agent`, shortened to 256 bytes, for the same list.
    pub user_agent: Option<String>,
}

/// How long sessions last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLimits {
    /// Since the last use.
    pub idle: Duration,
    /// Since the log-in.
    pub absolute: Duration,
}

impl Default for SessionLimits {
    /// A day without a use, 30 days in all.
    fn default() -> Self {
        Self { idle: Duration::from_hours(24), absolute: Duration::from_hours(30 * 24) }
    }
}

impl Session {
    /// When it ends if it is not used again: the idle or the absolute limit, whichever is first (req J4).
    pub fn expires_at(&self, limits: SessionLimits) -> UnixTime {
        self.last_seen_at.plus(limits.idle).min(self.created_at.plus(limits.absolute))
    }
}

/// One refresh token of a session's chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshToken {
    /// Of the token's secret.
    pub secret: HashedToken,
    /// The session, which is also the family that ends when a spent token comes back.
    pub session: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// When it was issued.
    pub issued_at: UnixTime,
    /// When it can no longer be used.
    pub expires_at: UnixTime,
    /// What became of it.
    pub state: RefreshState,
}

/// A refresh token is used once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefreshState {
    /// Not used yet.
    Fresh,
    /// Used: its successor is known.
    Spent {
        /// When.
        at: UnixTime,
        /// The hash of the token that replaced it.
        successor: HashedToken,
        /// That token itself, sealed under a key derived from the spent token, so that a client whose answer was lost can ask
        /// again and nobody who reads the store can.
        sealed_successor: Vec<u8>,
    },
}
