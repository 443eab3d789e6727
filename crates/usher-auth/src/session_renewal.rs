//! A session that was proved anew, and what that gives its connections.

use crate::ids::{SessionId, TokenId};
use crate::session::{Session, SessionLimits};
use crate::time::UnixTime;
use crate::user::User;

/// A session was proved anew over HTTP: by its refresh token or its cookie. It is made of the store's records, and moves what is open under
/// that session and user alone. It cannot be written down:
///
/// ```compile_fail
/// use usher_auth::UnixTime;
/// use usher_auth::session_renewal::SessionRenewal;
/// use usher_auth::ids::{SessionId, TokenId};
/// use usher_auth::user::User;
///
/// fn forge(user: User) -> SessionRenewal {
///     let (session, token_id) = (SessionId::from_random([1; 16]), TokenId::from_random([1; 16]));
///     let (session_expires_at, token_expires_at) = (UnixTime::MAX, UnixTime::MAX);
///     let [issued_at, roles_read_at] = [UnixTime::EPOCH; 2];
///     SessionRenewal { session, session_expires_at, user, token_id, issued_at, roles_read_at, token_expires_at }
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
    /// When the user was read, by the moments of readings.
    pub(crate) roles_read_at: UnixTime,
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
    /// When its user was read from the store, by moments that never go back: not by the wall clock, which a change of roles could seem to come before.
    pub roles_read_at: UnixTime,
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
            roles_read_at: token.roles_read_at,
            token_expires_at: token.expires_at,
        })
    }

    /// The session.
    pub fn session(&self) -> &SessionId {
        &self.session
    }
}
