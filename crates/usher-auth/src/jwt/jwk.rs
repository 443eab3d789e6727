//! One JSON Web Key (RFC 7517 §4, RFC 7518 §6, RFC 8037 §2), read for verification.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::algorithm::Algorithm;
use super::compact::MAX_KEY_ID_BYTES;
use super::hmac_secret::WeakSecret;
use super::rsa_public_key::WeakRsaKey;
use super::verification_key::{KeyKind, VerificationKey};

/// Members that a public key does not have. A set that shows one has leaked it, and anybody can sign.
const PRIVATE_MEMBERS: [&str; 9] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];

/// Why a key makes its whole set unusable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidJwk {
    /// A member is missing, of the wrong type, or not strict base64url.
    #[error("the member `{0}` is missing or malformed")]
    Member(&'static str),
    /// The private half is in it.
    #[error("it holds the private member `{0}`: the key is compromised")]
    Private(&'static str),
    /// Not a point of its curve.
    #[error("it is not a point of its curve")]
    NotOnCurve,
    /// A weak or broken RSA key.
    #[error(transparent)]
    Rsa(#[from] WeakRsaKey),
    /// A secret that is too short or known.
    #[error(transparent)]
    Secret(#[from] WeakSecret),
}

/// Whether the key is a shared secret.
pub(super) fn is_secret(members: &Map<String, Value>) -> bool {
    members.get("kty").is_some_and(|key_type| key_type == "oct")
}

/// Reads a key, which is to be used with those of `allowed` that its type, curve and `alg` leave.
///
/// What is not meant for us (another use, another algorithm, a type that is not known) is passed over with `None`, because issuers
/// publish encryption keys and keys of coming types in the same set; what is meant for us and wrong is an error.
pub(super) fn read(members: &Map<String, Value>, allowed: &[Algorithm]) -> Result<Option<VerificationKey>, InvalidJwk> {
    let key_type = required_text(members, "kty")?;
    let id = text(members, "kid")?;
    if id.is_some_and(|id| id.is_empty() || id.len() > MAX_KEY_ID_BYTES) {
        return Err(InvalidJwk::Member("kid"));
    }
    if !is_secret(members)
        && let Some(private) = PRIVATE_MEMBERS.into_iter().find(|name| members.contains_key(*name))
    {
        return Err(InvalidJwk::Private(private));
    }
    let own = text(members, "alg")?;
    let for_verification = is_for_verification(members)?;
    let Some(kind) = kind(key_type, members)?.filter(|_| for_verification) else { return Ok(None) };
    let mut algorithms = kind.algorithms(allowed);
    algorithms.retain(|algorithm| own.is_none_or(|own| own == algorithm.as_str()));
    if algorithms.is_empty() {
        return Ok(None);
    }
    material(kind, id.map(str::to_owned), algorithms, members).map(Some)
}

/// The kind of key, if it is one that we know.
fn kind(key_type: &str, members: &Map<String, Value>) -> Result<Option<KeyKind>, InvalidJwk> {
    Ok(match key_type {
        "RSA" => Some(KeyKind::Rsa),
        "oct" => Some(KeyKind::Secret),
        "EC" => match required_text(members, "crv")? {
            "P-256" => Some(KeyKind::P256),
            "P-384" => Some(KeyKind::P384),
            _ => None,
        },
        "OKP" => (required_text(members, "crv")? == "Ed25519").then_some(KeyKind::Ed25519),
        _ => None,
    })
}

/// `use` and `key_ops` (RFC 7517 §4.2, §4.3), where they are given, must both allow verification.
fn is_for_verification(members: &Map<String, Value>) -> Result<bool, InvalidJwk> {
    let by_use = text(members, "use")?.is_none_or(|purpose| purpose == "sig");
    let by_operations = match members.get("key_ops") {
        None => true,
        Some(Value::Array(operations)) => operations.iter().any(|operation| operation == "verify"),
        Some(_) => return Err(InvalidJwk::Member("key_ops")),
    };
    Ok(by_use && by_operations)
}

fn material(
    kind: KeyKind,
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    members: &Map<String, Value>,
) -> Result<VerificationKey, InvalidJwk> {
    let coordinate = |name, length| {
        let bytes = bytes(members, name)?;
        if bytes.len() == length { Ok(bytes) } else { Err(InvalidJwk::Member(name)) }
    };
    let point = match kind {
        KeyKind::Rsa => {
            return Ok(VerificationKey::rsa(id, algorithms, &bytes(members, "n")?, &bytes(members, "e")?)?);
        }
        KeyKind::Secret => return Ok(VerificationKey::secret(id, algorithms, &bytes(members, "k")?)?),
        KeyKind::P256 => [vec![4], coordinate("x", 32)?, coordinate("y", 32)?].concat(),
        KeyKind::P384 => [vec![4], coordinate("x", 48)?, coordinate("y", 48)?].concat(),
        KeyKind::Ed25519 => coordinate("x", 32)?,
    };
    VerificationKey::curve(id, algorithms, kind, &point).ok_or(InvalidJwk::NotOnCurve)
}

fn bytes(members: &Map<String, Value>, name: &'static str) -> Result<Vec<u8>, InvalidJwk> {
    URL_SAFE_NO_PAD.decode(required_text(members, name)?).map_err(|_| InvalidJwk::Member(name))
}

fn required_text<'a>(members: &'a Map<String, Value>, name: &'static str) -> Result<&'a str, InvalidJwk> {
    text(members, name)?.ok_or(InvalidJwk::Member(name))
}

fn text<'a>(members: &'a Map<String, Value>, name: &'static str) -> Result<Option<&'a str>, InvalidJwk> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(InvalidJwk::Member(name)),
    }
}
