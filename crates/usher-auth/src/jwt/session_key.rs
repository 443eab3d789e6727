//! Session keys: the text that stands for a session where a cookie cannot go, in a SockJS message `{"auth":"<user>:<key>"}`.
//!
//! A key is a token of ours with a type of its own, so that it is never taken for an access token nor one for it (RFC 8725 §3.11,
//! req F11). It carries no roles: what its holder may do is looked up with the session, as it is for the cookie.

use serde_json::json;

use super::claims::ClaimError;
use super::compact::Compact;
use super::signer::{AccessTokenProfile, SigningKey};
use super::subject::SubjectError;
use super::token_type::TypeError;
use super::verifier::{Known, TokenError, TokenVerifier, check_audience_and_times};
use crate::ids::{SessionId, TokenId, UserId};
use crate::secret::{SESSION_KEY_PREFIX, SecretText};
use crate::time::UnixTime;

/// `typ` of a session key, to the letter: we alone make them.
const SESSION_KEY_TYPE: &str = "usher-session-key+jwt";

/// What one session key says of its holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionKeyClaims {
    /// `sub`: a local user.
    pub subject: UserId,
    /// `sid`.
    pub session: SessionId,
    /// `jti`.
    pub key_id: TokenId,
    /// `iat`, in whole seconds.
    pub issued_at: UnixTime,
    /// `exp`, in whole seconds.
    pub expires_at: UnixTime,
}

/// What a session key proved. Whether there still is such a session is looked up.
///
/// Only [`TokenVerifier::verify_session_key`] makes one. It cannot be written down:
///
/// ```compile_fail
/// use usher_auth::ids::SessionId;
/// use usher_auth::jwt::VerifiedSessionKey;
///
/// let forged = VerifiedSessionKey { user: "alice".parse().unwrap(), session: SessionId::from_random([1; 16]) };
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedSessionKey {
    pub(crate) user: UserId,
    pub(crate) session: SessionId,
}

impl VerifiedSessionKey {
    /// Whose it is.
    pub fn user(&self) -> &UserId {
        &self.user
    }

    /// The session it stands for.
    pub fn session(&self) -> &SessionId {
        &self.session
    }
}

impl SigningKey {
    /// Signs a session key.
    pub(super) fn sign_session_key(&self, profile: &AccessTokenProfile, claims: &SessionKeyClaims) -> SecretText {
        let payload = json!({
            "iss": profile.issuer,
            "aud": profile.audience,
            "sub": claims.subject.as_str(),
            "sid": claims.session.as_str(),
            "jti": claims.key_id.as_str(),
            "iat": claims.issued_at.as_seconds(),
            "exp": claims.expires_at.as_seconds(),
        });
        SecretText::new(format!("{SESSION_KEY_PREFIX}{}", self.sign_compact(SESSION_KEY_TYPE, &payload)))
    }
}

impl TokenVerifier {
    /// Verifies the text of a session key, prefix and all, at the moment `now`. Only ourselves can have made one; expiry is looked at
    /// last, as for tokens.
    pub fn verify_session_key(&self, key: &str, now: UnixTime) -> Result<VerifiedSessionKey, TokenError> {
        let token = key.strip_prefix(SESSION_KEY_PREFIX).ok_or(TypeError::HeaderType)?;
        let compact = Compact::parse(token)?;
        let (known, claims, _) = self.signed(&compact, Known::is_ours)?;
        if compact.header().token_type.as_deref() != Some(SESSION_KEY_TYPE) {
            return Err(TypeError::HeaderType.into());
        }
        let rules = known.rules();
        check_audience_and_times(&claims, rules, now)?;
        if claims.token_id.is_none() || claims.issued_at.is_none() {
            return Err(ClaimError::Missing(if claims.token_id.is_none() { "jti" } else { "iat" }).into());
        }
        let session = claims.session()?.ok_or(ClaimError::Missing("sid"))?;
        let session = SessionId::new(session).map_err(|_| ClaimError::Malformed("sid"))?;
        let user = UserId::local(&claims.subject).map_err(SubjectError::from)?;
        if now >= claims.expires_at.plus(rules.leeway) {
            return Err(TokenError::Expired);
        }
        Ok(VerifiedSessionKey { user, session })
    }
}
