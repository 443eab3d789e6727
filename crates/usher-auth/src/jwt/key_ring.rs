//! Our keys with their rotation: one signs, those before it still verify.

use serde_json::{Value, json};

use super::key_set::KeySet;
use super::public_key::PublicKey;
use super::session_key::SessionKeyClaims;
use super::signer::{AccessTokenClaims, AccessTokenProfile, SigningKey};
use crate::secret::SecretText;

/// The key that signs and those that signed before, whose tokens still live (req G3).
#[derive(Debug)]
pub struct KeyRing {
    current: SigningKey,
    previous: Vec<PublicKey>,
}

impl KeyRing {
    /// Signs with `current`; what `previous` signed is still verified. The private halves of the previous keys are forgotten.
    pub fn new(current: SigningKey, previous: Vec<SigningKey>) -> Self {
        let mut kept: Vec<PublicKey> = Vec::new();
        for key in previous {
            if key.public.id != current.public.id && kept.iter().all(|other| other.id != key.public.id) {
                kept.push(key.public);
            }
        }
        Self { current, previous: kept }
    }

    /// The ring after a rotation: `next` signs, and what this ring's keys signed is still verified.
    #[must_use]
    pub fn rotated(self, next: SigningKey) -> Self {
        let mut previous = self.previous;
        previous.insert(0, self.current.public);
        previous.retain(|key| key.id != next.public.id);
        Self { current: next, previous }
    }

    /// The key that signs.
    pub fn current(&self) -> &SigningKey {
        &self.current
    }

    /// Signs an access token with the current key.
    pub fn sign_access_token(&self, profile: &AccessTokenProfile, claims: &AccessTokenClaims) -> SecretText {
        self.current.sign_access_token(profile, claims)
    }

    /// Signs a session key with the current key. The text begins with [`crate::secret::SESSION_KEY_PREFIX`].
    pub fn sign_session_key(&self, profile: &AccessTokenProfile, claims: &SessionKeyClaims) -> SecretText {
        self.current.sign_session_key(profile, claims)
    }

    /// All public keys as a JWK set (RFC 7517 §5), the current one first.
    pub fn jwks(&self) -> Value {
        json!({"keys": self.public_keys().map(PublicKey::jwk).collect::<Vec<_>>()})
    }

    /// All public keys, to verify with.
    ///
    /// # Panics
    /// Never: there is always a current key.
    pub fn verification_keys(&self) -> KeySet {
        KeySet::new(self.public_keys().map(PublicKey::verification_key).collect()).expect("there is a current key")
    }

    fn public_keys(&self) -> impl Iterator<Item = &PublicKey> {
        std::iter::once(&self.current.public).chain(&self.previous)
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::Ed25519KeyPair;

    use super::*;
    use crate::ids::{Role, TokenId, UserId};
    use crate::jwt::{Algorithm, Compact, SignatureError, generate_es256_pkcs8};
    use crate::time::UnixTime;

    fn es256() -> SigningKey {
        SigningKey::from_pkcs8(&generate_es256_pkcs8(&SystemRandom::new()).unwrap()).unwrap()
    }

    fn ed25519() -> SigningKey {
        SigningKey::from_pkcs8(Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap().as_ref()).unwrap()
    }

    fn sign(ring: &KeyRing) -> SecretText {
        let profile = AccessTokenProfile { issuer: "i".into(), audience: "a".into() };
        ring.sign_access_token(
            &profile,
            &AccessTokenClaims {
                subject: UserId::new("alice").unwrap(),
                name: "Alice \"A\"".into(),
                roles: vec![Role::new("user").unwrap()],
                session: None,
                token_id: TokenId::new("t").unwrap(),
                issued_at: UnixTime::from_millis(1_999),
                expires_at: UnixTime::from_millis(3_999),
            },
        )
    }

    #[test]
    fn a_token_says_what_it_was_told() {
        for key in [es256(), ed25519()] {
            let id = key.key_id().to_owned();
            let ring = KeyRing::new(key, Vec::new());
            let token = sign(&ring);
            let compact = Compact::parse(token.reveal()).unwrap();
            assert_eq!(compact.header().token_type.as_deref(), Some("at+jwt"));
            assert_eq!(compact.header().key_id.as_deref(), Some(id.as_str()));
            assert_eq!(
                Value::Object(compact.payload().unwrap()),
                json!({
                    "iss": "i", "aud": "a", "client_id": "usher", "sub": "alice", "name": "Alice \"A\"", "roles": ["user"],
                    "jti": "t", "iat": 1, "exp": 3,
                })
            );
            assert_eq!(ring.verification_keys().verify_signature(&compact), Ok(Some(id.as_str())));
        }
    }

    #[test]
    fn a_rotation_overlaps() {
        // req G3
        let (one, two, three) = (es256(), ed25519(), es256());
        let ids = [&one, &two, &three].map(|key| key.key_id().to_owned());
        let ring = KeyRing::new(one, Vec::new());
        let old = sign(&ring);
        let ring = ring.rotated(two).rotated(three);
        let published: Vec<String> =
            ring.jwks()["keys"].as_array().unwrap().iter().map(|jwk| jwk["kid"].as_str().unwrap().to_owned()).collect();
        assert_eq!(published, [&ids[2], &ids[1], &ids[0]].map(String::clone));
        assert_eq!(ring.verification_keys().key_ids().collect::<Vec<_>>(), published);
        let compact = Compact::parse(old.reveal()).unwrap();
        assert_eq!(ring.verification_keys().verify_signature(&compact), Ok(Some(ids[0].as_str())));
        let gone = KeyRing::new(ring.current, Vec::new());
        assert_eq!(gone.verification_keys().verify_signature(&compact), Err(SignatureError::UnknownKey));
        // What others read from the published set is what we verify with ourselves.
        let set = KeySet::from_jwks(gone.jwks().to_string().as_bytes(), &[Algorithm::ES256, Algorithm::EdDSA]).unwrap();
        let fresh = sign(&gone);
        assert!(set.verify_signature(&Compact::parse(fresh.reveal()).unwrap()).is_ok());
    }

    #[test]
    fn the_same_key_is_published_once() {
        let pkcs8 = generate_es256_pkcs8(&SystemRandom::new()).unwrap();
        let key = || SigningKey::from_pkcs8(&pkcs8).unwrap();
        let ring = KeyRing::new(key(), vec![key(), es256()]).rotated(key());
        assert_eq!(ring.jwks()["keys"].as_array().unwrap().len(), 2);
    }
}
