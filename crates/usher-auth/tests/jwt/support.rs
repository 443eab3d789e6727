//! Keys made for this run, tokens minted with them to the letter, and verifiers that trust them.

use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::Duration;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, KeyPair as _, RsaKeyPair, RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::EncodingKey;
use serde_json::{Map, Value, json};
use usher_auth::UnixTime;
use usher_auth::ids::IssuerName;
use usher_auth::jwt::{
    Algorithm, AlgorithmFamily, IssuerRules, KeySet, SubjectTemplate, TokenError, TokenProfile, TokenVerifier,
    TrustedIssuer, VerifiedToken,
};

/// When all of this happens, in seconds since the epoch.
pub(crate) const NOW: i64 = 1_760_000_000;
/// The issuer's `iss`.
pub(crate) const ISSUER: &str = "https://idp.example/realm";
/// What its tokens are for.
pub(crate) const AUDIENCE: &str = "usher";
/// Sixty-four bytes that nobody would guess.
pub(crate) const SECRET: &[u8; 64] = b"3q2-7wABcdU8zVfKp1LmNoXyR5tQ9sGh6EaZiJ4kWbD0OuPvFnTlMxCrYH_2e8Ij";

/// A key of one kind, in every form a test may want.
pub(crate) struct TestKey {
    pub(crate) algorithm: Algorithm,
    /// What signs.
    pub(crate) private: EncodingKey,
    /// The public JWK, without `kid`, `alg` and `use`; of a secret the `oct` JWK.
    pub(crate) jwk: Value,
    /// The public key as DER (SubjectPublicKeyInfo); of a secret nothing.
    pub(crate) der: Vec<u8>,
    /// Modulus, point or secret, as they are.
    pub(crate) raw: Vec<u8>,
}

pub(crate) static RSA: LazyLock<TestKey> = LazyLock::new(|| TestKey::rsa(KeySize::Rsa2048));
pub(crate) static P256: LazyLock<TestKey> = LazyLock::new(|| TestKey::ec(Algorithm::ES256));
pub(crate) static OTHER_P256: LazyLock<TestKey> = LazyLock::new(|| TestKey::ec(Algorithm::ES256));
pub(crate) static P384: LazyLock<TestKey> = LazyLock::new(|| TestKey::ec(Algorithm::ES384));
pub(crate) static ED25519: LazyLock<TestKey> = LazyLock::new(TestKey::ed25519);
pub(crate) static HMAC: LazyLock<TestKey> = LazyLock::new(|| TestKey::hmac(SECRET));

fn b64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl TestKey {
    pub(crate) fn rsa(size: KeySize) -> Self {
        let pair = RsaKeyPair::generate(size).unwrap();
        let public = pair.public_key();
        let RsaPublicKeyComponents { n, e } = RsaPublicKeyComponents::<Vec<u8>>::from(public);
        let pkcs8 = pair.as_der().unwrap();
        let private = EncodingKey::from_rsa_pem(pem("PRIVATE KEY", pkcs8.as_ref()).as_bytes()).unwrap();
        let der = public.as_der().unwrap().as_ref().to_vec();
        let jwk = json!({"kty": "RSA", "n": b64(&n), "e": b64(&e)});
        Self { algorithm: Algorithm::RS256, private, jwk, der, raw: n }
    }

    pub(crate) fn ec(algorithm: Algorithm) -> Self {
        let (parameters, curve): (&'static EcdsaSigningAlgorithm, _) = match algorithm {
            Algorithm::ES256 => (&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256"),
            Algorithm::ES384 => (&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384"),
            other => panic!("{other} is not on a curve"),
        };
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(parameters, &SystemRandom::new()).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(parameters, pkcs8.as_ref()).unwrap();
        let point = pair.public_key().as_ref().to_vec();
        let (x, y) = point[1..].split_at(point.len() / 2);
        let jwk = json!({"kty": "EC", "crv": curve, "x": b64(x), "y": b64(y)});
        let der = pair.public_key().as_der().unwrap().as_ref().to_vec();
        Self { algorithm, private: EncodingKey::from_ec_der(pkcs8.as_ref()), jwk, der, raw: point }
    }

    pub(crate) fn ed25519() -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
        let raw = pair.public_key().as_ref().to_vec();
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": b64(&raw)});
        let der = pair.public_key().as_der().unwrap().as_ref().to_vec();
        Self { algorithm: Algorithm::EdDSA, private: EncodingKey::from_ed_der(pkcs8.as_ref()), jwk, der, raw }
    }

    pub(crate) fn hmac(secret: &[u8]) -> Self {
        Self {
            algorithm: Algorithm::HS256,
            private: EncodingKey::from_secret(secret),
            jwk: json!({"kty": "oct", "k": b64(secret)}),
            der: Vec::new(),
            raw: secret.to_vec(),
        }
    }

    /// The algorithms that a key of this kind can have.
    pub(crate) fn algorithms(&self) -> Vec<Algorithm> {
        let fits = |algorithm: &Algorithm| match self.algorithm.family() {
            AlgorithmFamily::Ec => *algorithm == self.algorithm,
            family => algorithm.family() == family,
        };
        Algorithm::ALL.into_iter().filter(fits).collect()
    }

    /// The JWK with more members.
    pub(crate) fn jwk_with(&self, more: Value) -> Value {
        let mut jwk = self.jwk.clone();
        jwk.as_object_mut().unwrap().extend(object(more));
        jwk
    }

    /// The public key in PEM.
    pub(crate) fn public_pem(&self) -> String {
        pem("PUBLIC KEY", &self.der)
    }

    /// A token of exactly this header and payload.
    pub(crate) fn sign_as(&self, algorithm: Algorithm, header: &str, payload: &str) -> String {
        let message = format!("{}.{}", b64(header.as_bytes()), b64(payload.as_bytes()));
        let algorithm = algorithm.as_str().parse().unwrap();
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &self.private, algorithm).unwrap();
        format!("{message}.{signature}")
    }

    /// A token of this header and payload, whose `alg` is added.
    pub(crate) fn sign(&self, header: Value, payload: &Value) -> String {
        let mut members = object(json!({"alg": self.algorithm.as_str()}));
        members.extend(object(header));
        self.sign_as(self.algorithm, &Value::Object(members).to_string(), &payload.to_string())
    }
}

pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let base64 = STANDARD.encode(der);
    let lines: Vec<&str> = base64.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

pub(crate) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        other => panic!("{other} is no object"),
    }
}

pub(crate) fn jwks(keys: &[Value]) -> Vec<u8> {
    json!({"keys": keys}).to_string().into_bytes()
}

/// The claims of a good token after RFC 9068.
pub(crate) fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "client_id": "app", "iat": NOW - 10, "exp": NOW + 600, "jti": "t1",
    })
}

/// Those claims with some put in the place of others; `null` removes one.
pub(crate) fn claims_with(changes: Value) -> Value {
    let mut claims = object(claims());
    for (name, value) in object(changes) {
        if value.is_null() {
            claims.remove(&name);
        } else {
            claims.insert(name, value);
        }
    }
    Value::Object(claims)
}

/// Rules for an issuer `idp` with these algorithms, of the plain profile.
pub(crate) fn rules(algorithms: &[Algorithm]) -> IssuerRules {
    IssuerRules {
        name: Some(IssuerName::new("idp").unwrap()),
        issuer: ISSUER.to_owned(),
        audiences: vec![AUDIENCE.to_owned()],
        algorithms: algorithms.to_vec(),
        subject: SubjectTemplate::default(),
        roles_claim: None,
        default_roles: Vec::new(),
        profile: TokenProfile::Plain,
        leeway: Duration::from_secs(30),
        max_lifetime: Duration::from_hours(24),
        accepts_without_iat: true,
    }
}

/// A verifier that trusts `key` under the id `k1`, for all algorithms that fit it.
pub(crate) fn trusting(key: &TestKey) -> TokenVerifier {
    trusting_by(key, rules(&key.algorithms()))
}

/// A verifier that trusts `key` under the id `k1`, by these rules.
pub(crate) fn trusting_by(key: &TestKey, rules: IssuerRules) -> TokenVerifier {
    let keys = KeySet::from_jwks(&jwks(&[key.jwk_with(json!({"kid": "k1"}))]), &rules.algorithms).unwrap();
    verifier(vec![TrustedIssuer::new(rules, keys)])
}

pub(crate) fn verifier(issuers: Vec<TrustedIssuer>) -> TokenVerifier {
    TokenVerifier::new(issuers, BTreeSet::new()).unwrap()
}

/// The verdict now.
pub(crate) fn verify(verifier: &TokenVerifier, token: &str) -> Result<VerifiedToken, TokenError> {
    verifier.verify(token, UnixTime::from_seconds(NOW))
}
