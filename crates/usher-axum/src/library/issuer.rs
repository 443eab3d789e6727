//! An issuer whose tokens are taken, and where its keys are.

use std::time::Duration;

use url::Url;
use usher_auth::ids::{IssuerName, Role};
use usher_auth::jwt::{Algorithm, IssuerRules, KeySet, KeySetError, SubjectTemplate, TokenProfile};
use zeroize::Zeroizing;

use crate::KeySource;

/// Longest life of a token, where nothing else is set: one that would live longer is refused.
const MAX_LIFETIME: Duration = Duration::from_hours(24);
/// How far an issuer's clock may differ from ours, where nothing else is set.
const LEEWAY: Duration = Duration::from_secs(30);
/// What public keys may sign with, where nothing else is set. A key itself says which of them is its own.
const PUBLIC_KEY_ALGORITHMS: [Algorithm; 4] = [Algorithm::ES256, Algorithm::EdDSA, Algorithm::RS256, Algorithm::PS256];

/// An issuer of tokens: its name, its keys, and what its tokens must say. At least one [`Self::audience`] is needed: a token for another service must not
/// be taken.
///
/// A user of the issuer is `NAME:SUB`, so that two issuers cannot name each other's users.
#[derive(Debug)]
pub struct Issuer {
    pub(super) rules: IssuerRules,
    pub(super) keys: Keys,
}

/// Where its keys are.
pub(super) enum Keys {
    Secret(Zeroizing<Vec<u8>>),
    PublicKeyPem(Vec<u8>),
    Jwks(Vec<u8>),
    Fetched(KeySource),
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Secret(_) => "Secret(…)",
            Self::PublicKeyPem(_) => "PublicKeyPem(…)",
            Self::Jwks(_) => "Jwks(…)",
            Self::Fetched(_) => "Fetched(…)",
        })
    }
}

/// Why an issuer cannot be.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// The name is none.
    #[error("{0:?} cannot be an issuer's name")]
    Name(String),
    /// The key, or the secret, does not do.
    #[error("the keys of the issuer {issuer} cannot be used: {source}")]
    Keys {
        /// Whose.
        issuer: String,
        /// Why not.
        source: KeySetError,
    },
    /// The address of its keys is none.
    #[error("the address {0:?} of an issuer's keys is not a URL")]
    Url(String),
    /// The template of its users' ids does not do.
    #[error("the subject {template:?} of the issuer {issuer} cannot be used: {why}")]
    Subject {
        /// Whose.
        issuer: String,
        /// The template.
        template: String,
        /// Why not.
        why: String,
    },
}

impl Issuer {
    /// Tokens signed with a shared secret: HS256, for which it must have at least 32 random bytes.
    ///
    /// # Errors
    /// If the secret is too short or too simple, or the name is none.
    pub fn hmac(name: &str, secret: impl Into<Vec<u8>>) -> Result<Self, IssuerError> {
        let secret = Zeroizing::new(secret.into());
        Self::checked(name, vec![Algorithm::HS256], Keys::Secret(secret))
    }

    /// Tokens signed with the key of one public key in PEM.
    ///
    /// # Errors
    /// If the key cannot be used, or the name is none.
    pub fn public_key_pem(name: &str, pem: impl Into<Vec<u8>>) -> Result<Self, IssuerError> {
        Self::checked(name, PUBLIC_KEY_ALGORITHMS.to_vec(), Keys::PublicKeyPem(pem.into()))
    }

    /// Tokens signed with a key of this JWK set (RFC 7517 §5).
    ///
    /// # Errors
    /// If the set cannot be used, or the name is none.
    pub fn jwks(name: &str, json: impl Into<Vec<u8>>) -> Result<Self, IssuerError> {
        Self::checked(name, PUBLIC_KEY_ALGORITHMS.to_vec(), Keys::Jwks(json.into()))
    }

    /// Tokens signed with a key of the JWK set at `url`, which is fetched in the background and when a token names an unknown key.
    ///
    /// # Errors
    /// If it is no URL, or the name is none.
    pub fn jwks_url(name: &str, url: &str) -> Result<Self, IssuerError> {
        let url = Url::parse(url).map_err(|_| IssuerError::Url(url.to_owned()))?;
        Self::checked(name, PUBLIC_KEY_ALGORITHMS.to_vec(), Keys::Fetched(KeySource::JwksUrl(url)))
    }

    /// Tokens of an OpenID provider, whose `iss` is `issuer`. Its keys are found by discovery.
    ///
    /// # Errors
    /// If it is no URL, or the name is none.
    pub fn oidc(name: &str, issuer: &str) -> Result<Self, IssuerError> {
        let url = Url::parse(issuer).map_err(|_| IssuerError::Url(issuer.to_owned()))?;
        let source = KeySource::OidcUrl { issuer: issuer.to_owned(), url, allowed_hosts: Vec::new() };
        Ok(Self::checked(name, PUBLIC_KEY_ALGORITHMS.to_vec(), Keys::Fetched(source))?.issued_as(issuer))
    }

    fn checked(name: &str, algorithms: Vec<Algorithm>, keys: Keys) -> Result<Self, IssuerError> {
        let named = IssuerName::new(name).map_err(|_| IssuerError::Name(name.to_owned()))?;
        let rules = IssuerRules {
            name: Some(named),
            issuer: name.to_owned(),
            audiences: Vec::new(),
            algorithms,
            subject: SubjectTemplate::default(),
            roles_claim: None,
            default_roles: Vec::new(),
            profile: TokenProfile::default(),
            leeway: LEEWAY,
            max_lifetime: MAX_LIFETIME,
            accepts_without_iat: false,
        };
        let issuer = Self { rules, keys };
        issuer.key_set()?;
        Ok(issuer)
    }

    /// The `iss` of its tokens, to the letter; its name if nothing else is set.
    #[must_use]
    pub fn issued_as(mut self, iss: impl Into<String>) -> Self {
        self.rules.issuer = iss.into();
        self
    }

    /// What the `aud` of its tokens must contain. If there are several, one of them.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.rules.audiences.push(audience.into());
        self
    }

    /// The claim that holds a user's roles, by its name or a path with dots. Without it, tokens give no roles.
    #[must_use]
    pub fn roles_claim(mut self, claim: impl Into<String>) -> Self {
        self.rules.roles_claim = Some(claim.into());
        self
    }

    /// Roles that all of the issuer's users have.
    #[must_use]
    pub fn default_roles(mut self, roles: impl IntoIterator<Item = Role>) -> Self {
        self.rules.default_roles = roles.into_iter().collect();
        self
    }

    /// The only algorithms that its tokens may be signed with: all symmetric, or all asymmetric.
    ///
    /// # Errors
    /// If the keys cannot be used with them.
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Result<Self, IssuerError> {
        self.rules.algorithms = algorithms.into_iter().collect();
        self.key_set()?;
        Ok(self)
    }

    /// The user that a `sub` is, such as `{name}:{sub}`.
    ///
    /// # Errors
    /// If it is no such template.
    pub fn subject(mut self, template: &str) -> Result<Self, IssuerError> {
        self.rules.subject =
            template.parse().map_err(|why: usher_auth::jwt::InvalidSubjectTemplate| IssuerError::Subject {
                issuer: self.rules.issuer.clone(),
                template: template.to_owned(),
                why: why.to_string(),
            })?;
        Ok(self)
    }

    /// Longest life of a token, from its `iat` to its `exp`: one that would live longer is refused. A day if nothing else is set.
    #[must_use]
    pub fn max_lifetime(mut self, lifetime: Duration) -> Self {
        self.rules.max_lifetime = lifetime;
        self
    }

    /// How far its clock may differ from ours, at most a minute; 30 s if nothing else is set.
    #[must_use]
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.rules.leeway = leeway;
        self
    }

    /// The keys that are known without fetching any.
    pub(super) fn key_set(&self) -> Result<KeySet, IssuerError> {
        let algorithms = &self.rules.algorithms;
        let keys = match &self.keys {
            Keys::Secret(secret) => KeySet::from_hmac_secret(secret, algorithms),
            Keys::PublicKeyPem(pem) => KeySet::from_public_key_pem(pem, algorithms),
            Keys::Jwks(json) => KeySet::from_jwks(json, algorithms),
            Keys::Fetched(_) => return Ok(KeySet::default()),
        };
        keys.map_err(|source| IssuerError::Keys { issuer: self.rules.issuer.clone(), source })
    }
}
