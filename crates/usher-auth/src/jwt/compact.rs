//! The compact serialisation of a signed token, taken apart strictly (RFC 7515 §3.1, §7.1).
//!
//! Nothing here is trusted: it is what the bearer wrote. Of several readings of one text only one is accepted, so that a token
//! has one form (req F7).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::algorithm::{Algorithm, InvalidAlgorithm};
use super::strict_json::{self, StrictJsonError};

/// Longest token that is looked at, in bytes (req F16).
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// Longest `kid`, in bytes (req F5).
pub const MAX_KEY_ID_BYTES: usize = 256;

/// Header parameters that change what is verified or with which key. Each is refused rather than ignored: who sends one expects
/// something of it that we do not do (RFC 8725 §3.10, RFC 7515 §4.1.11, RFC 7797 §6, RFC 7516 §4.1).
const REFUSED_MEMBERS: [&str; 9] = ["crit", "b64", "zip", "jku", "jwk", "x5u", "x5c", "cty", "enc"];

/// Why a text is no token that we would verify. It repeats nothing of the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// More than [`MAX_TOKEN_BYTES`]; it was not looked at.
    #[error("the token is longer than {MAX_TOKEN_BYTES} bytes")]
    TooLong,
    /// Five segments.
    #[error("the token is encrypted (JWE), which is not supported")]
    Encrypted,
    /// Not three segments.
    #[error("the token does not have three segments")]
    NotThreeSegments,
    /// Nothing between two dots; an empty signature among others.
    #[error("a segment of the token is empty")]
    EmptySegment,
    /// Not base64url, or with padding, white space or stray bits at the end.
    #[error("a segment of the token is not strict base64url")]
    Base64,
    /// The header is no JSON object as we want it.
    #[error("the token's header: {0}")]
    HeaderJson(#[source] StrictJsonError),
    /// The payload is no JSON object as we want it.
    #[error("the token's payload: {0}")]
    PayloadJson(#[source] StrictJsonError),
    /// A header parameter is missing or of the wrong type or length.
    #[error("the header parameter `{0}` is missing or malformed")]
    HeaderMember(&'static str),
    /// A header parameter that is never accepted.
    #[error("the header parameter `{0}` is not accepted")]
    RefusedMember(&'static str),
    /// `alg` names no algorithm of ours.
    #[error("the token's algorithm: {0}")]
    Algorithm(#[source] InvalidAlgorithm),
}

/// What a token's header says. Not trusted.
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    /// `alg`: compared with what the configuration allows, never the other way round.
    pub algorithm: Algorithm,
    /// `kid`: only ever compared with the ids of the configured keys.
    pub key_id: Option<String>,
    /// `typ`.
    pub token_type: Option<String>,
}

/// A signed token in parts, none of them verified.
pub struct Compact<'a> {
    header: Header,
    signing_input: &'a str,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl<'a> Compact<'a> {
    /// Takes `token` apart: length first, then form, then the header. The payload's bytes are decoded, not yet read.
    pub fn parse(token: &'a str) -> Result<Self, FormError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(FormError::TooLong);
        }
        let mut segments = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (segments.next(), segments.next(), segments.next(), segments.next())
        else {
            let encrypted = token.bytes().filter(|byte| *byte == b'.').count() == 4;
            return Err(if encrypted { FormError::Encrypted } else { FormError::NotThreeSegments });
        };
        if header.is_empty() || payload.is_empty() || signature.is_empty() {
            return Err(FormError::EmptySegment);
        }
        Ok(Self {
            header: Header::parse(&decode(header)?)?,
            signing_input: &token[..header.len() + 1 + payload.len()],
            payload: decode(payload)?,
            signature: decode(signature)?,
        })
    }

    /// What the header says.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The bytes the signature is over: header and payload as they came.
    pub(super) fn signing_input(&self) -> &[u8] {
        self.signing_input.as_bytes()
    }

    pub(super) fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// The payload read as JSON. Until the signature is verified it is good for one thing: to choose the issuer whose keys to try.
    pub(super) fn payload(&self) -> Result<Map<String, Value>, FormError> {
        strict_json::parse_object(&self.payload).map_err(FormError::PayloadJson)
    }
}

impl fmt::Debug for Compact<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compact").field("header", &self.header).finish_non_exhaustive()
    }
}

impl Header {
    fn parse(json: &[u8]) -> Result<Self, FormError> {
        let members = strict_json::parse_object(json).map_err(FormError::HeaderJson)?;
        if let Some(refused) = REFUSED_MEMBERS.into_iter().find(|name| members.contains_key(*name)) {
            return Err(FormError::RefusedMember(refused));
        }
        let algorithm = text(&members, "alg")?.ok_or(FormError::HeaderMember("alg"))?;
        let algorithm = algorithm.parse().map_err(FormError::Algorithm)?;
        let key_id = text(&members, "kid")?;
        if key_id.is_some_and(|id| id.is_empty() || id.len() > MAX_KEY_ID_BYTES) {
            return Err(FormError::HeaderMember("kid"));
        }
        let token_type = text(&members, "typ")?;
        Ok(Self { algorithm, key_id: key_id.map(str::to_owned), token_type: token_type.map(str::to_owned) })
    }
}

impl fmt::Debug for Header {
    /// Without `kid` and `typ`, which hold whatever the bearer wrote.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Header").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

fn decode(segment: &str) -> Result<Vec<u8>, FormError> {
    URL_SAFE_NO_PAD.decode(segment).map_err(|_| FormError::Base64)
}

fn text<'a>(members: &'a Map<String, Value>, name: &'static str) -> Result<Option<&'a str>, FormError> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(FormError::HeaderMember(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_header(header: &str) -> String {
        format!("{}.e30.AAAA", URL_SAFE_NO_PAD.encode(header))
    }

    fn refused(token: &str) -> FormError {
        Compact::parse(token).map(|_| ()).unwrap_err()
    }

    #[test]
    fn a_token_is_taken_apart() {
        let token = with_header(r#"{"alg":"ES256","kid":"a","typ":"at+jwt","x5t":"ignored","nonce":[{}]}"#);
        let compact = Compact::parse(&token).unwrap();
        assert_eq!(compact.header.algorithm, Algorithm::ES256);
        assert_eq!(compact.header.key_id.as_deref(), Some("a"));
        assert_eq!(compact.header.token_type.as_deref(), Some("at+jwt"));
        assert_eq!(compact.signing_input(), &token.as_bytes()[..token.len() - 5]);
        assert_eq!(compact.signature(), [0; 3]);
        assert!(compact.payload().unwrap().is_empty());
        assert_eq!(format!("{compact:?}"), "Compact { header: Header { algorithm: ES256, .. }, .. }");
    }

    #[test]
    fn length_is_checked_before_anything_else() {
        // req F16
        let token = ".".repeat(MAX_TOKEN_BYTES + 1);
        assert_eq!(refused(&token), FormError::TooLong);
        assert_eq!(refused(&token[1..]), FormError::NotThreeSegments);
    }

    #[test]
    fn segments() {
        // req F6
        assert_eq!(refused(""), FormError::NotThreeSegments);
        assert_eq!(refused("a.b"), FormError::NotThreeSegments);
        assert_eq!(refused("a.b.c.d"), FormError::NotThreeSegments);
        assert_eq!(refused("a.b.c.d.e"), FormError::Encrypted);
        assert_eq!(refused("a.b.c.d.e.f"), FormError::NotThreeSegments);
        assert_eq!(refused(r#"{"payload":"e30","signatures":[]}"#), FormError::NotThreeSegments);
        for token in ["..", ".e30.AAAA", "e30..AAAA", "e30.e30."] {
            assert_eq!(refused(token), FormError::EmptySegment);
        }
    }

    #[test]
    fn base64url_is_strict() {
        // req F7
        let good = with_header(r#"{"alg":"ES256"}"#);
        assert!(Compact::parse(&good).is_ok());
        let header = good.split('.').next().unwrap();
        for (header, payload, signature) in [
            (header, "e30=", "AAAA"),
            (header, "e30", "AA=="),
            (header, "e31", "AAAA"), // The two unused bits are not zero.
            (header, "e30 ", "AAAA"),
            (header, "\te30", "AAAA"),
            (header, "e30", "AA\nAA"),
            (header, "e30", "AA+A"),
            (header, "e30", "AA/A"),
            (header, "e30", "A"),
            (header, "e30", "AAÄA"),
        ] {
            assert_eq!(
                refused(&format!("{header}.{payload}.{signature}")),
                FormError::Base64,
                "{payload:?} {signature:?}"
            );
        }
    }

    #[test]
    fn header_members() {
        for (header, error) in [
            (r"[]", FormError::HeaderJson(StrictJsonError::NotAnObject)),
            (r#"{"alg":"ES256","alg":"ES256"}"#, FormError::HeaderJson(StrictJsonError::DuplicateMember)),
            (r"{}", FormError::HeaderMember("alg")),
            (r#"{"alg":null}"#, FormError::HeaderMember("alg")),
            (r#"{"alg":["ES256"]}"#, FormError::HeaderMember("alg")),
            (r#"{"alg":"none"}"#, FormError::Algorithm(InvalidAlgorithm::None)),
            (r#"{"alg":"es256"}"#, FormError::Algorithm(InvalidAlgorithm::Unknown)),
            (r#"{"alg":""}"#, FormError::Algorithm(InvalidAlgorithm::Unknown)),
            (r#"{"alg":"ES256","kid":""}"#, FormError::HeaderMember("kid")),
            (r#"{"alg":"ES256","kid":null}"#, FormError::HeaderMember("kid")),
            (r#"{"alg":"ES256","kid":7}"#, FormError::HeaderMember("kid")),
            (r#"{"alg":"ES256","typ":["JWT"]}"#, FormError::HeaderMember("typ")),
        ] {
            assert_eq!(refused(&with_header(header)), error, "{header}");
        }
        let long = |bytes| with_header(&format!(r#"{{"alg":"ES256","kid":"{}"}}"#, "k".repeat(bytes)));
        assert!(Compact::parse(&long(MAX_KEY_ID_BYTES)).is_ok());
        assert_eq!(refused(&long(MAX_KEY_ID_BYTES + 1)), FormError::HeaderMember("kid"));
    }

    #[test]
    fn members_that_change_the_rules_are_refused() {
        // req F4, F6
        for name in REFUSED_MEMBERS {
            for value in ["null", "true", "[]", "\"x\""] {
                let token = with_header(&format!(r#"{{"alg":"ES256","{name}":{value}}}"#));
                assert_eq!(refused(&token), FormError::RefusedMember(name));
            }
        }
    }
}
