//! A public key in PEM (RFC 7468 §13; PKCS#1 for RSA as well), as an operator puts it beside the configuration.

use aws_lc_rs::rsa::PublicKey;
use aws_lc_rs::signature::RsaPublicKeyComponents;
use jsonwebtoken::{DecodingKey, DecodingKeyKind};

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

/// Reads the one public key in `pem`, for those of `allowed` that fit it; `None` if none does.
pub(super) fn read(pem: &[u8], allowed: &[Algorithm]) -> Result<Option<VerificationKey>, InvalidPem> {
    if pem.len() > MAX_PEM_BYTES {
        return Err(InvalidPem::TooLong);
    }
    let text = std::str::from_utf8(pem).map_err(|_| InvalidPem::NotPem)?;
    let labels: Vec<&str> = text.split("-----BEGIN ").skip(1).filter_map(|rest| rest.split("-----").next()).collect();
    if labels.iter().any(|label| label.contains("PRIVATE KEY")) {
        return Err(InvalidPem::PrivateKey);
    }
    match labels[..] {
        [] => Err(InvalidPem::NotPem),
        ["PUBLIC KEY" | "RSA PUBLIC KEY"] => key(pem, allowed),
        [label] if label.contains("CERTIFICATE") => Err(InvalidPem::Certificate),
        [_] => Err(InvalidPem::UnknownKey),
        _ => Err(InvalidPem::NotOne),
    }
}

fn key(pem: &[u8], allowed: &[Algorithm]) -> Result<Option<VerificationKey>, InvalidPem> {
    if let Ok(key) = DecodingKey::from_rsa_pem(pem)
        && let Some((n, e)) = rsa_components(&key)
    {
        let algorithms = KeyKind::Rsa.algorithms(allowed);
        let key = VerificationKey::rsa(None, algorithms.clone(), &n, &e)?;
        return Ok((!algorithms.is_empty()).then_some(key));
    }
    let (kind, key) = match (DecodingKey::from_ec_pem(pem), DecodingKey::from_ed_pem(pem)) {
        (Ok(key), _) => match key.try_get_as_bytes().map_or(0, <[u8]>::len) {
            65 => (KeyKind::P256, key),
            97 => (KeyKind::P384, key),
            _ => return Err(InvalidPem::UnknownKey),
        },
        (_, Ok(key)) => (KeyKind::Ed25519, key),
        _ => return Err(InvalidPem::UnknownKey),
    };
    let algorithms = kind.algorithms(allowed);
    let point = key.try_get_as_bytes().map_err(|_| InvalidPem::UnknownKey)?;
    // The library does not look at the curve's name; a point of another curve of that size is not one of ours.
    let key = VerificationKey::curve(None, algorithms.clone(), kind, point).ok_or(InvalidPem::UnknownKey)?;
    Ok((!algorithms.is_empty()).then_some(key))
}

fn rsa_components(key: &DecodingKey) -> Option<(Vec<u8>, Vec<u8>)> {
    if let DecodingKeyKind::RsaModulusExponent { n, e } = key.kind() {
        return Some((n.clone(), e.clone()));
    }
    let key = PublicKey::from_der(key.try_get_as_bytes().ok()?).ok()?;
    let components = RsaPublicKeyComponents::<Vec<u8>>::from(&key);
    Some((components.n, components.e))
}
