//! Where an issuer's keys come from, as the operator configured it, and how patient and how trusting we are about it.

use std::time::Duration;

use url::{Host, Url};
use usher_auth::ids::IssuerName;
use usher_auth::jwt::MAX_JWKS_BYTES;

use super::url_rules::ForbiddenUrl;

/// How long a fetched key set is fresh when the answer does not say.
pub const DEFAULT_FRESH_FOR: Duration = Duration::from_mins(15);
/// The shortest time a fetched key set is fresh, whatever the answer says: it bounds how often an issuer is asked.
pub const MIN_FRESH_FOR: Duration = Duration::from_mins(5);
/// The longest: it bounds how long a key that the issuer withdrew is still believed while the issuer can be reached.
pub const MAX_FRESH_FOR: Duration = Duration::from_hours(24);

/// Where one issuer's keys come from.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// They were loaded at start and are never fetched.
    Static,
    /// A JWK set (RFC 7517 §5).
    JwksUrl(Url),
    /// OpenID Connect Discovery 1.0: the metadata says where the JWK set is.
    OidcUrl {
        /// The issuer's identifier: what `iss` says in its tokens and what `issuer` in the metadata must equal byte for byte
        /// (OIDC Discovery §4.3).
        issuer: String,
        /// The address to which `/.well-known/openid-configuration` is added.
        url: Url,
        /// Hosts apart from the issuer's own on which the metadata may say the JWK set is.
        allowed_hosts: Vec<Host>,
    },
}

/// How patient fetching is, and how long what was fetched is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyFetchLimits {
    /// The time after a fetch for an unknown key, or after a failed one, in which no unknown key causes another (req G2).
    pub window: Duration,
    /// How long keys stay in use once they are no longer fresh and cannot be fetched again. After that they are dropped, and the
    /// issuer's tokens are refused (req G4, G5).
    pub stale_for: Duration,
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest wait for one whole answer.
    pub timeout: Duration,
    /// Most bytes an answer may have.
    pub max_bytes: usize,
}

impl Default for KeyFetchLimits {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(30),
            stale_for: Duration::from_hours(24),
            connect_timeout: Duration::from_secs(2),
            timeout: Duration::from_secs(5),
            max_bytes: MAX_JWKS_BYTES,
        }
    }
}

/// Why a set of sources cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidKeySource {
    /// A source for an issuer that the token verifier does not have.
    #[error("issuer {0}: no such issuer is configured")]
    UnknownIssuer(IssuerName),
    /// Two sources for one issuer.
    #[error("issuer {0}: its keys can have one source only")]
    Twice(IssuerName),
    /// A key that can be fetched is no secret, and whoever reads it can sign.
    #[error("issuer {0}: HS algorithms need a secret file; a shared secret is never fetched")]
    SharedSecret(IssuerName),
    /// An address that must not be fetched from.
    #[error("issuer {issuer}: the address of its keys cannot be used")]
    Url {
        /// Whose.
        issuer: IssuerName,
        /// Why not.
        #[source]
        source: ForbiddenUrl,
    },
    /// The HTTP client cannot be made, most likely because the system has no root certificates.
    #[error("keys cannot be fetched over https; are the system's root certificates installed?")]
    Client(#[source] reqwest::Error),
}
