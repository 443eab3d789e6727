//! The public half of a signing key of ours, in the forms it is published and verified with.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::algorithm::Algorithm;
use super::verification_key::{KeyKind, VerificationKey};

/// The half of a key that anybody may see.
#[derive(Clone)]
pub(super) struct PublicKey {
    pub(super) id: String,
    kind: KeyKind,
    /// `04 ‖ x ‖ y`, or the 32 bytes of Ed25519.
    point: Vec<u8>,
}

impl PublicKey {
    pub(super) fn new(kind: KeyKind, point: &[u8]) -> Self {
        let mut key = Self { id: String::new(), kind, point: point.to_vec() };
        // RFC 7638 §3: the required members in alphabetical order, without white space. `serde_json`'s maps are sorted, unless
        // another crate turns that off, so the order is written out.
        let members = key.members();
        let text = |name: &str| format!("\"{name}\":{}", members[name]);
        let names: &[&str] = if kind == KeyKind::P256 { &["crv", "kty", "x", "y"] } else { &["crv", "kty", "x"] };
        let canonical = format!("{{{}}}", names.iter().map(|name| text(name)).collect::<Vec<_>>().join(","));
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, canonical.as_bytes());
        key.id = URL_SAFE_NO_PAD.encode(digest);
        key
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        if self.kind == KeyKind::P256 { Algorithm::ES256 } else { Algorithm::EdDSA }
    }

    fn members(&self) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        if self.kind == KeyKind::P256 {
            json!({"kty": "EC", "crv": "P-256", "x": text(&self.point[1..33]), "y": text(&self.point[33..])})
        } else {
            json!({"kty": "OKP", "crv": "Ed25519", "x": text(&self.point)})
        }
    }

    pub(super) fn jwk(&self) -> Value {
        let mut jwk = self.members();
        jwk["alg"] = self.algorithm().as_str().into();
        jwk["use"] = "sig".into();
        jwk["kid"] = self.id.as_str().into();
        jwk
    }

    pub(super) fn verification_key(&self) -> VerificationKey {
        VerificationKey::curve(Some(self.id.clone()), vec![self.algorithm()], self.kind, &self.point)
            .expect("a public key that belongs to a private one is a point of its curve")
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicKey").field("id", &self.id).field("kind", &self.kind).finish_non_exhaustive()
    }
}
