//! The signature algorithms we verify (RFC 7518 §3.1, RFC 8037). `none` is not one of them and cannot be configured.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A signature algorithm, by its name in a token's `alg`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
pub enum Algorithm {
    /// HMAC with SHA-256.
    HS256,
    /// HMAC with SHA-384.
    HS384,
    /// HMAC with SHA-512.
    HS512,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RS384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RS512,
    /// RSASSA-PSS with SHA-256.
    PS256,
    /// RSASSA-PSS with SHA-384.
    PS384,
    /// RSASSA-PSS with SHA-512.
    PS512,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// ECDSA on P-384 with SHA-384.
    ES384,
    /// Ed25519.
    EdDSA,
}

/// The kind of key an algorithm works with. A key of one family is never used with an algorithm of another (req F3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AlgorithmFamily {
    /// A shared secret.
    Hmac,
    /// An RSA key.
    Rsa,
    /// A key on a NIST curve.
    Ec,
    /// An Ed25519 key.
    Ed,
}

/// A text that names no algorithm of ours. It does not repeat the text, which may come from a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAlgorithm {
    /// `none`, in whatever spelling (RFC 8725 §2.1).
    #[error("the algorithm `none` means no signature: it can neither be configured nor accepted")]
    None,
    /// Something else; names are case-sensitive (RFC 7515 §4.1.1).
    #[error("not a signature algorithm that is known here: one of {}", Algorithm::names())]
    Unknown,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 12] = [
        Self::HS256,
        Self::HS384,
        Self::HS512,
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
        Self::ES256,
        Self::ES384,
        Self::EdDSA,
    ];

    /// The name in `alg`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HS256 => "HS256",
            Self::HS384 => "HS384",
            Self::HS512 => "HS512",
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::EdDSA => "EdDSA",
        }
    }

    /// The kind of key it works with.
    pub const fn family(self) -> AlgorithmFamily {
        match self {
            Self::HS256 | Self::HS384 | Self::HS512 => AlgorithmFamily::Hmac,
            Self::RS256 | Self::RS384 | Self::RS512 | Self::PS256 | Self::PS384 | Self::PS512 => AlgorithmFamily::Rsa,
            Self::ES256 | Self::ES384 => AlgorithmFamily::Ec,
            Self::EdDSA => AlgorithmFamily::Ed,
        }
    }

    /// Whether verifier and signer share one secret.
    pub const fn is_symmetric(self) -> bool {
        matches!(self.family(), AlgorithmFamily::Hmac)
    }

    pub(super) const fn in_library(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::HS256 => jsonwebtoken::Algorithm::HS256,
            Self::HS384 => jsonwebtoken::Algorithm::HS384,
            Self::HS512 => jsonwebtoken::Algorithm::HS512,
            Self::RS256 => jsonwebtoken::Algorithm::RS256,
            Self::RS384 => jsonwebtoken::Algorithm::RS384,
            Self::RS512 => jsonwebtoken::Algorithm::RS512,
            Self::PS256 => jsonwebtoken::Algorithm::PS256,
            Self::PS384 => jsonwebtoken::Algorithm::PS384,
            Self::PS512 => jsonwebtoken::Algorithm::PS512,
            Self::ES256 => jsonwebtoken::Algorithm::ES256,
            Self::ES384 => jsonwebtoken::Algorithm::ES384,
            Self::EdDSA => jsonwebtoken::Algorithm::EdDSA,
        }
    }

    fn names() -> String {
        Self::ALL.map(Self::as_str).join(", ")
    }
}

impl FromStr for Algorithm {
    type Err = InvalidAlgorithm;

    fn from_str(text: &str) -> Result<Self, InvalidAlgorithm> {
        if text.trim().eq_ignore_ascii_case("none") {
            return Err(InvalidAlgorithm::None);
        }
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == text).ok_or(InvalidAlgorithm::Unknown)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Algorithm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Algorithm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_and_written() {
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.as_str().parse(), Ok(algorithm));
            let json = serde_json::to_string(&algorithm).unwrap();
            assert_eq!(json, format!("\"{algorithm}\""));
            assert_eq!(serde_json::from_str::<Algorithm>(&json).unwrap(), algorithm);
            assert_eq!(format!("{:?}", algorithm.in_library()), algorithm.as_str());
        }
        assert_eq!("es256".parse::<Algorithm>(), Err(InvalidAlgorithm::Unknown));
        assert_eq!("ES256 ".parse::<Algorithm>(), Err(InvalidAlgorithm::Unknown));
    }

    #[test]
    fn none_cannot_be_configured() {
        // req F2
        for spelling in ["none", "None", "NONE", "nOnE", " none", "none\n"] {
            assert_eq!(spelling.parse::<Algorithm>(), Err(InvalidAlgorithm::None), "{spelling:?}");
            let error = serde_json::from_value::<Algorithm>(spelling.into()).unwrap_err();
            assert!(error.to_string().contains("means no signature"), "{error}");
        }
    }

    #[test]
    fn the_schema_lists_the_names() {
        let schema = serde_json::to_value(schemars::schema_for!(Algorithm)).unwrap().to_string();
        for algorithm in Algorithm::ALL {
            assert!(schema.contains(&format!("\"{algorithm}\"")), "{schema}");
        }
    }
}
