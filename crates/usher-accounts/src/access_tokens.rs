//! Our own access tokens: signed with the current key, verified with it and those before it.

use std::time::Duration;

use usher_auth::jwt::{AccessTokenClaims, AccessTokenProfile, KeyRing, SessionKeyClaims};
use usher_auth::secret::SecretText;

/// Makes access tokens (RFC 9068).
pub struct AccessTokens {
    keys: KeyRing,
    profile: AccessTokenProfile,
    lifetime: Duration,
}

impl AccessTokens {
    /// Signed with `keys`, saying what `profile` says, for `lifetime` at most.
    pub fn new(keys: KeyRing, profile: AccessTokenProfile, lifetime: Duration) -> Self {
        Self { keys, profile, lifetime }
    }

    /// Longest life of a token.
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// Signs a token.
    pub fn sign(&self, claims: &AccessTokenClaims) -> SecretText {
        self.keys.sign_access_token(&self.profile, claims)
    }

    /// Signs a session key.
    pub fn session_key(&self, claims: &SessionKeyClaims) -> SecretText {
        self.keys.sign_session_key(&self.profile, claims)
    }

    /// The public keys, as a JWK set.
    pub fn jwks(&self) -> serde_json::Value {
        self.keys.jwks()
    }
}
