//! The keys of one issuer, and the verification of a signature with them.

use std::collections::HashSet;

use serde_json::Value;

use super::algorithm::Algorithm;
use super::compact::Compact;
use super::hmac_secret::WeakSecret;
use super::jwk::{self, InvalidJwk};
use super::public_key_pem::{self, InvalidPem};
use super::strict_json::{self, StrictJsonError};
use super::verification_key::{KeyKind, VerificationKey};

/// Longest JWK set that is read, in bytes.
pub const MAX_JWKS_BYTES: usize = 64 * 1024;
/// Most keys in a JWK set.
pub const MAX_JWKS_KEYS: usize = 64;

/// Keys, each bound to the algorithms it may verify. The default is a set without keys, which vouches for nothing.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    keys: Vec<VerificationKey>,
}

/// Why something was not taken as a set of keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// More than [`MAX_JWKS_BYTES`].
    #[error("the JWK set is longer than {MAX_JWKS_BYTES} bytes")]
    TooLong,
    /// More than [`MAX_JWKS_KEYS`].
    #[error("the JWK set has more than {MAX_JWKS_KEYS} keys")]
    TooManyKeys,
    /// No JSON object as we want it.
    #[error("the JWK set: {0}")]
    Json(#[from] StrictJsonError),
    /// No array `keys` of objects in it.
    #[error("the JWK set has no array `keys` of objects")]
    NotASet,
    /// A key that is meant for us is not what it must be.
    #[error("key {index} of the JWK set: {source}")]
    Jwk {
        /// Its place in the set, from 0.
        index: usize,
        /// What is wrong with it.
        source: InvalidJwk,
    },
    /// Two keys with one `kid`: which of them verifies would depend on the reader.
    #[error("two keys of the JWK set have the same `kid`")]
    DuplicateKeyId,
    /// Shared secrets among public keys: the way to algorithm confusion (RFC 8725 §2.1).
    #[error("the JWK set mixes shared secrets with public keys")]
    Mixed,
    /// A shared secret where the issuer's algorithms need none.
    #[error("the JWK set holds a shared secret, but none of the allowed algorithms uses one")]
    UnexpectedSecret,
    /// No key for any of the allowed algorithms.
    #[error("there is no key for any of the allowed algorithms")]
    NoUsableKey,
    /// A PEM file that is no public key.
    #[error(transparent)]
    Pem(#[from] InvalidPem),
    /// A secret that is none.
    #[error(transparent)]
    Secret(#[from] WeakSecret),
}

/// Why no key of the set vouches for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The set has no key that the token can mean.
    #[error("no key for the token")]
    UnknownKey,
    /// The token names no key, and several would do.
    #[error("the token has no `kid`, and more than one key fits it")]
    AmbiguousKey,
    /// The key is there, but is not for the token's algorithm.
    #[error("the token's key is not for its algorithm")]
    KeyNotForAlgorithm,
    /// The signature is not the key's.
    #[error("the signature is wrong")]
    WrongSignature,
}

impl KeySet {
    /// From a JWK set (RFC 7517 §5), whose keys are each used with those of `allowed` that fit type, curve and `alg`.
    ///
    /// Keys that are for something else (encryption, unknown types or algorithms) are passed over; a weak, broken or private key,
    /// two keys with one `kid`, and secrets among public keys make the whole set unusable (req F13, F14).
    pub fn from_jwks(json: &[u8], allowed: &[Algorithm]) -> Result<Self, KeySetError> {
        if json.len() > MAX_JWKS_BYTES {
            return Err(KeySetError::TooLong);
        }
        let set = strict_json::parse_object(json)?;
        let Some(Value::Array(members)) = set.get("keys") else { return Err(KeySetError::NotASet) };
        if members.len() > MAX_JWKS_KEYS {
            return Err(KeySetError::TooManyKeys);
        }
        let members: Option<Vec<_>> = members.iter().map(Value::as_object).collect();
        let members = members.ok_or(KeySetError::NotASet)?;
        // What is wrong with the set as a whole comes first: it says more than what is wrong with one key.
        let mut ids = HashSet::new();
        if !members.iter().filter_map(|jwk| jwk.get("kid")?.as_str()).all(|id| ids.insert(id)) {
            return Err(KeySetError::DuplicateKeyId);
        }
        let symmetric = members.iter().filter(|jwk| jwk::is_secret(jwk)).count();
        if symmetric != 0 && symmetric != members.len() {
            return Err(KeySetError::Mixed);
        }
        if symmetric != 0 && !allowed.iter().any(|algorithm| algorithm.is_symmetric()) {
            return Err(KeySetError::UnexpectedSecret);
        }
        let mut keys = Vec::new();
        for (index, members) in members.into_iter().enumerate() {
            keys.extend(jwk::read(members, allowed).map_err(|source| KeySetError::Jwk { index, source })?);
        }
        Self::new(keys)
    }

    /// From one public key in PEM (`PUBLIC KEY`, or `RSA PUBLIC KEY`). A private key is refused: it has no business here.
    ///
    /// The key has no id, so it serves for tokens with any `kid` and with none.
    pub fn from_public_key_pem(pem: &[u8], allowed: &[Algorithm]) -> Result<Self, KeySetError> {
        Self::new(public_key_pem::read(pem, allowed)?.into_iter().collect())
    }

    /// From a shared secret for the HMAC algorithms among `allowed`: at least as long as the hash of each, and not a well-known or
    /// patterned one (req F13).
    pub fn from_hmac_secret(secret: &[u8], allowed: &[Algorithm]) -> Result<Self, KeySetError> {
        let algorithms = KeyKind::Secret.algorithms(allowed);
        if algorithms.is_empty() {
            return Err(KeySetError::NoUsableKey);
        }
        Self::new(vec![VerificationKey::secret(None, algorithms, secret)?])
    }

    pub(super) fn new(keys: Vec<VerificationKey>) -> Result<Self, KeySetError> {
        if keys.is_empty() { Err(KeySetError::NoUsableKey) } else { Ok(Self { keys }) }
    }

    /// How many keys.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The ids of the keys that have one.
    pub fn key_ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().filter_map(|key| key.id.as_deref())
    }

    /// Verifies the signature of `token` and nothing else: with the key it names, if that key is for the token's algorithm. Returns
    /// the key's id, if it has one.
    ///
    /// A `kid` is compared with the ids of the set and never interpreted (req F5). A key without an id can be meant by any token,
    /// if it is the only such key for the algorithm.
    pub fn verify_signature(&self, token: &Compact<'_>) -> Result<Option<&str>, SignatureError> {
        let algorithm = token.header().algorithm;
        let key = self.key_for(token.header().key_id.as_deref(), algorithm)?;
        if key.verify(algorithm, token.signing_input(), token.signature()) {
            Ok(key.id.as_deref())
        } else {
            Err(SignatureError::WrongSignature)
        }
    }

    fn key_for(&self, key_id: Option<&str>, algorithm: Algorithm) -> Result<&VerificationKey, SignatureError> {
        if let Some(key_id) = key_id
            && let Some(named) = self.keys.iter().find(|key| key.id.as_deref() == Some(key_id))
        {
            return if named.fits(algorithm) { Ok(named) } else { Err(SignatureError::KeyNotForAlgorithm) };
        }
        let mut candidates =
            self.keys.iter().filter(|key| key.fits(algorithm) && (key_id.is_none() || key.id.is_none()));
        match (candidates.next(), candidates.next()) {
            (Some(only), None) => Ok(only),
            (Some(_), Some(_)) => Err(SignatureError::AmbiguousKey),
            (None, _) => Err(SignatureError::UnknownKey),
        }
    }
}
