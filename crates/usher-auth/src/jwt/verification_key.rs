//! One key bound to the algorithms it may verify.

use std::fmt;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey};
use jsonwebtoken::DecodingKey;
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;

use super::algorithm::{Algorithm, AlgorithmFamily};
use super::hmac_secret::{self, WeakSecret};
use super::rsa_public_key::{self, WeakRsaKey};

/// A key with its id, if it has one, and the algorithms it is for.
#[derive(Clone)]
pub(super) struct VerificationKey {
    pub(super) id: Option<String>,
    /// Never empty, and all of the key's own family: a key that fits several algorithms is still never used across families
    /// (req F3).
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

/// A public key's kind, in so far as it decides the algorithms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyKind {
    Rsa,
    P256,
    P384,
    Ed25519,
    Secret,
}

impl KeyKind {
    /// Those of `allowed` that a key of this kind can be used with.
    pub(super) fn algorithms(self, allowed: &[Algorithm]) -> Vec<Algorithm> {
        let fits = |algorithm: &Algorithm| match self {
            Self::Rsa => algorithm.family() == AlgorithmFamily::Rsa,
            Self::P256 => *algorithm == Algorithm::ES256,
            Self::P384 => *algorithm == Algorithm::ES384,
            Self::Ed25519 => *algorithm == Algorithm::EdDSA,
            Self::Secret => algorithm.is_symmetric(),
        };
        allowed.iter().copied().filter(fits).collect()
    }
}

impl VerificationKey {
    /// From modulus and exponent, big-endian. Leading zeros are dropped: some issuers send the sign byte of their DER along.
    pub(super) fn rsa(id: Option<String>, algorithms: Vec<Algorithm>, n: &[u8], e: &[u8]) -> Result<Self, WeakRsaKey> {
        let (n, e) = (without_leading_zeros(n), without_leading_zeros(e));
        rsa_public_key::check(n, e)?;
        Ok(Self { id, algorithms, key: DecodingKey::from_rsa_raw_components(n, e) })
    }

    /// From the raw form of a public key on a curve: `04 ‖ x ‖ y` or the 32 bytes of Ed25519. `None` if it is no point of the curve.
    pub(super) fn curve(id: Option<String>, algorithms: Vec<Algorithm>, kind: KeyKind, point: &[u8]) -> Option<Self> {
        let key = match kind {
            KeyKind::P256 => {
                let point = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).ok().filter(|_| point.len() == 65)?;
                DecodingKey::from_ec_der(point.as_ref())
            }
            KeyKind::P384 => {
                let point = ParsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point).ok().filter(|_| point.len() == 97)?;
                DecodingKey::from_ec_der(point.as_ref())
            }
            KeyKind::Ed25519 => {
                let point = ParsedPublicKey::new(&ED25519, point).ok().filter(|_| point.len() == 32)?;
                DecodingKey::from_ed_der(point.as_ref())
            }
            KeyKind::Rsa | KeyKind::Secret => return None,
        };
        Some(Self { id, algorithms, key })
    }

    /// From a shared secret.
    pub(super) fn secret(id: Option<String>, algorithms: Vec<Algorithm>, secret: &[u8]) -> Result<Self, WeakSecret> {
        hmac_secret::check(secret, &algorithms)?;
        Ok(Self { id, algorithms, key: DecodingKey::from_secret(secret) })
    }

    /// Whether it may verify `algorithm`.
    pub(super) fn fits(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
    }

    /// Whether `signature` is this key's over `message`. Says no to an algorithm that the key is not for.
    ///
    /// The library's provider is named, not looked up: what an embedding application installs as the process's default plays no
    /// part here.
    pub(super) fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        self.fits(algorithm)
            && (DEFAULT_PROVIDER.verifier_factory)(&algorithm.in_library(), &self.key)
                .is_ok_and(|verifier| verifier.verify(message, &signature.to_vec()).is_ok())
    }
}

impl fmt::Debug for VerificationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerificationKey")
            .field("id", &self.id)
            .field("algorithms", &self.algorithms)
            .finish_non_exhaustive()
    }
}

fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}
