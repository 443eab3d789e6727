//! Our own access tokens (RFC 9068) and the keys that sign them (req G9).
//!
//! A private key goes in as PKCS#8 and never comes out; what is published is made of its public half alone.

use std::fmt;

use aws_lc_rs::rand::SecureRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::EncodingKey;
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::algorithm::Algorithm;
use super::public_key::PublicKey;
use super::verification_key::KeyKind;
use crate::ids::{Role, SessionId, TokenId, UserId};
use crate::secret::SecretText;
use crate::time::UnixTime;

/// `client_id` of our tokens, which RFC 9068 §2.2 requires: they are given to whoever logs in here, not to an OAuth client.
const CLIENT_ID: &str = "usher";
/// Characters in a line of PEM (RFC 7468 §2).
const PEM_LINE: usize = 64;

/// What all our access tokens say of whence and whither.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessTokenProfile {
    /// `iss`.
    pub issuer: String,
    /// `aud`.
    pub audience: String,
}

/// What one access token says of its bearer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessTokenClaims {
    /// `sub`: a local user.
    pub subject: UserId,
    /// `name`.
    pub name: String,
    /// `roles`.
    pub roles: Vec<Role>,
    /// `sid`.
    pub session: Option<SessionId>,
    /// `jti`.
    pub token_id: TokenId,
    /// `iat`, in whole seconds.
    pub issued_at: UnixTime,
    /// `exp`, in whole seconds.
    pub expires_at: UnixTime,
}

/// A file that is no signing key of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigningKeyError {
    /// Not PKCS#8, or a key of another kind.
    #[error("not a PKCS#8 private key on P-256 or for Ed25519")]
    NotAKey,
    /// The generator failed.
    #[error("no key could be generated")]
    Generation,
}

/// A key that signs.
pub struct SigningKey {
    pub(super) public: PublicKey,
    private: EncodingKey,
}

/// A new P-256 key as PKCS#8, to be kept with mode 0600. `random` is where the caller lets randomness come from; the library's
/// generator is the only one there is behind it.
pub fn generate_es256_pkcs8(random: &dyn SecureRandom) -> Result<Zeroizing<Vec<u8>>, SigningKeyError> {
    EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, random)
        .map(|pkcs8| Zeroizing::new(pkcs8.as_ref().to_vec()))
        .map_err(|_| SigningKeyError::Generation)
}

/// A new P-256 key, in the same way, as PKCS#8 in PEM (RFC 7468 §10).
pub fn generate_es256_pem(random: &dyn SecureRandom) -> Result<Zeroizing<String>, SigningKeyError> {
    let base64 = Zeroizing::new(STANDARD.encode(generate_es256_pkcs8(random)?.as_slice()));
    // Enough room from the start: a string that grows leaves copies behind.
    let mut pem = Zeroizing::new(String::with_capacity(base64.len() * 2 + 128));
    pem.push_str("-----BEGIN PRIVATE KEY-----\n");
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(PEM_LINE));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str("-----END PRIVATE KEY-----\n");
    Ok(pem)
}

impl SigningKey {
    /// From PKCS#8 in DER: P-256, which signs with ES256, or Ed25519, with EdDSA.
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, SigningKeyError> {
        if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8) {
            let public = PublicKey::new(KeyKind::P256, pair.public_key().as_ref());
            return Ok(Self { public, private: EncodingKey::from_ec_der(pkcs8) });
        }
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8).map_err(|_| SigningKeyError::NotAKey)?;
        let public = PublicKey::new(KeyKind::Ed25519, pair.public_key().as_ref());
        Ok(Self { public, private: EncodingKey::from_ed_der(pkcs8) })
    }

    /// From PKCS#8 in PEM, as [`generate_es256_pem`] and `openssl genpkey` write it.
    pub fn from_pem(pem: &str) -> Result<Self, SigningKeyError> {
        let key = EncodingKey::from_ec_pem(pem.as_bytes()).or_else(|_| EncodingKey::from_ed_pem(pem.as_bytes()));
        Self::from_pkcs8(key.map_err(|_| SigningKeyError::NotAKey)?.as_bytes())
    }

    /// `kid`: the thumbprint of the public key (RFC 7638).
    pub fn key_id(&self) -> &str {
        &self.public.id
    }

    /// What it signs with.
    pub fn algorithm(&self) -> Algorithm {
        self.public.algorithm()
    }

    /// The public key as a JWK (RFC 7517).
    pub fn public_jwk(&self) -> Value {
        self.public.jwk()
    }

    /// Signs an access token (RFC 9068 §2).
    ///
    /// # Panics
    /// Never: the key was parsed when this was made, and signing with it does not depend on the claims.
    pub fn sign_access_token(&self, profile: &AccessTokenProfile, claims: &AccessTokenClaims) -> SecretText {
        let mut payload = json!({
            "iss": profile.issuer,
            "aud": profile.audience,
            "client_id": CLIENT_ID,
            "sub": claims.subject.as_str(),
            "name": claims.name,
            "roles": claims.roles.iter().map(Role::as_str).collect::<Vec<_>>(),
            "jti": claims.token_id.as_str(),
            "iat": claims.issued_at.as_seconds(),
            "exp": claims.expires_at.as_seconds(),
        });
        if let Some(session) = &claims.session {
            payload["sid"] = session.as_str().into();
        }
        SecretText::new(self.sign_compact("at+jwt", &payload))
    }

    /// The compact serialisation of `payload`, signed as a token of type `typ`.
    pub(super) fn sign_compact(&self, typ: &str, payload: &Value) -> String {
        let header = json!({"alg": self.algorithm().as_str(), "typ": typ, "kid": self.key_id()});
        let encoded = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let message = format!("{}.{}", encoded(&header), encoded(payload));
        let signature = (DEFAULT_PROVIDER.signer_factory)(&self.algorithm().in_library(), &self.private)
            .ok()
            .and_then(|signer| signer.try_sign(message.as_bytes()).ok())
            .expect("a key that was parsed signs");
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("public", &self.public).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;

    use super::*;
    use crate::jwt::KeyRing;

    #[test]
    fn the_key_id_is_the_thumbprint_of_rfc_7638() {
        // RFC 8037, appendices A.1 to A.3.
        let seed = URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
        let prefix = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
        let key = SigningKey::from_pkcs8(&[prefix.as_slice(), &seed].concat()).unwrap();
        assert_eq!(key.key_id(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        assert_eq!(
            key.public_jwk(),
            json!({
                "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": key.key_id(),
                "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
            })
        );
    }

    #[test]
    fn the_library_agrees_on_the_thumbprint() {
        let key = SigningKey::from_pkcs8(&generate_es256_pkcs8(&SystemRandom::new()).unwrap()).unwrap();
        let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_value(key.public_jwk()).unwrap();
        assert_eq!(jwk.thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256).unwrap(), key.key_id());
    }

    #[test]
    fn nothing_shows_the_private_half() {
        // req G9
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pkcs8 = pkcs8.as_ref();
        let ring = KeyRing::new(SigningKey::from_pkcs8(pkcs8).unwrap(), Vec::new());
        // PKCS#8 v1 and v2 have the 32 secret bytes at the same place.
        let secret = &pkcs8[16..48];
        let shown = format!("{ring:?} {:?} {}", ring.verification_keys(), ring.jwks());
        assert!(!ring.jwks().to_string().contains("\"d\""));
        for form in [
            URL_SAFE_NO_PAD.encode(secret),
            format!("{secret:?}"),
            format!("{:?}", &secret[..8]).replace(['[', ']'], ""),
        ] {
            assert!(!shown.contains(&form), "{shown}");
        }
        assert_eq!(SigningKey::from_pkcs8(b"not a key").unwrap_err(), SigningKeyError::NotAKey);
        assert_eq!(SigningKey::from_pkcs8(&pkcs8[..pkcs8.len() - 1]).unwrap_err(), SigningKeyError::NotAKey);
    }

    #[test]
    fn a_key_goes_through_pem() {
        let pem = generate_es256_pem(&SystemRandom::new()).unwrap();
        assert!(pem.lines().all(|line| line.len() <= PEM_LINE));
        assert_eq!(SigningKey::from_pem(&pem).unwrap().algorithm(), Algorithm::ES256);
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pem =
            format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----", STANDARD.encode(pkcs8.as_ref()));
        assert_eq!(SigningKey::from_pem(&pem).unwrap().algorithm(), Algorithm::EdDSA);
        for bad in ["", "not a key", &pem.replace("PRIVATE", "PUBLIC"), &pem[..60]] {
            assert_eq!(SigningKey::from_pem(bad).unwrap_err(), SigningKeyError::NotAKey);
        }
    }
}
