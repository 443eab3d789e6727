//! A public key in PEM (RFC 7468 §13; PKCS#1 for RSA as well), as an operator puts it beside the configuration.

use aws_lc_rs::rsa::PublicKey;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey, RsaPublicKeyComponents,
    VerificationAlgorithm,
};

use super::algorithm::Algorithm;
use super::rsa_public_key::WeakRsaKey;
use super::verification_key::{KeyKind, VerificationKey};

/// Longest file that is read, in bytes.
const MAX_PEM_BYTES: usize = 64 * 1024;

/// Why a PEM file was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPem {
    /// Absurdly long.
    #[error("the file is longer than {MAX_PEM_BYTES} bytes")]
    TooLong,
    /// Not text, or without `-----BEGIN`.
    #[error("the file is not PEM")]
    NotPem,
    /// The private half is in it. Verification needs the public one only, and whoever holds the other can sign.
    #[error("the file holds a private key: give the public key alone (`openssl pkey -in FILE -pubout`)")]
    PrivateKey,
    /// A certificate: nothing here would check its validity.
    #[error("the file holds a certificate: give its public key (`openssl x509 -in FILE -noout -pubkey`)")]
    Certificate,
    /// Two keys, or something beside the key.
    #[error("the file must hold exactly one key")]
    NotOne,
    /// No key of a type we know, or a broken one.
    #[error("the file holds no RSA, P-256, P-384 or Ed25519 public key")]
    UnknownKey,
    /// A weak RSA key.
    #[error(transparent)]
    Rsa(#[from] WeakRsaKey),
}

/// Length of a P-256 key as SubjectPublicKeyInfo, uncompressed (RFC 5480 §2), and of its point.
const P256_BYTES: (usize, usize) = (91, 65);
/// The same of P-384.
const P384_BYTES: (usize, usize) = (120, 97);
/// The same of Ed25519 (RFC 8410 §4).
const ED25519_BYTES: (usize, usize) = (44, 32);

/// Reads the one public key in `file`, for those of `allowed` that fit it; `None` if none does.
pub(super) fn read(file: &[u8], allowed: &[Algorithm]) -> Result<Option<VerificationKey>, InvalidPem> {
    if file.len() > MAX_PEM_BYTES {
        return Err(InvalidPem::TooLong);
    }
    let text = std::str::from_utf8(file).map_err(|_| InvalidPem::NotPem)?;
    let labels: Vec<&str> = text.split("-----BEGIN ").skip(1).filter_map(|rest| rest.split("-----").next()).collect();
    // Looked for in the text and before anything is decoded: a private key in a broken file is a private key still.
    if labels.iter().any(|label| label.contains("PRIVATE KEY")) {
        return Err(InvalidPem::PrivateKey);
    }
    match labels[..] {
        [] => Err(InvalidPem::NotPem),
        ["PUBLIC KEY" | "RSA PUBLIC KEY"] => {
            key(pem::parse(file).map_err(|_| InvalidPem::UnknownKey)?.contents(), allowed)
        }
        [label] if label.contains("CERTIFICATE") => Err(InvalidPem::Certificate),
        [_] => Err(InvalidPem::UnknownKey),
        _ => Err(InvalidPem::NotOne),
    }
}

fn key(der: &[u8], allowed: &[Algorithm]) -> Result<Option<VerificationKey>, InvalidPem> {
    let curves: [(KeyKind, &'static dyn VerificationAlgorithm, (usize, usize)); 3] = [
        (KeyKind::P256, &ECDSA_P256_SHA256_FIXED, P256_BYTES),
        (KeyKind::P384, &ECDSA_P384_SHA384_FIXED, P384_BYTES),
        (KeyKind::Ed25519, &ED25519, ED25519_BYTES),
    ];
    for (kind, algorithm, (length, point)) in curves {
        // The library compares the curve's name; the length leaves room for nothing else round the key.
        if der.len() == length && ParsedPublicKey::new(algorithm, der).is_ok() {
            let algorithms = kind.algorithms(allowed);
            let usable = !algorithms.is_empty();
            let key =
                VerificationKey::curve(None, algorithms, kind, &der[length - point..]).ok_or(InvalidPem::UnknownKey)?;
            return Ok(usable.then_some(key));
        }
    }
    let key = PublicKey::from_der(der).map_err(|_| InvalidPem::UnknownKey)?;
    let RsaPublicKeyComponents { n, e } = RsaPublicKeyComponents::<Vec<u8>>::from(&key);
    let algorithms = KeyKind::Rsa.algorithms(allowed);
    let usable = !algorithms.is_empty();
    let key = VerificationKey::rsa(None, algorithms, &n, &e)?;
    Ok(usable.then_some(key))
}
