//! Tokens, good and bad, signed with the test server's own key or with another.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Map, Value, json};
use usher_auth::Clock;
use usher_auth::jwt::{AccessTokenProfile, IssuerRules};

use crate::TestClock;

/// The issuer of the test server's tokens.
const ISSUER: &str = "https://usher.test";
/// Their audience.
const AUDIENCE: &str = "usher";

/// Signs whatever it is told to.
#[derive(Clone)]
pub struct Mint {
    key: EncodingKey,
    key_id: String,
    clock: Arc<TestClock>,
}

/// The claims and header of a token to be. They begin as a good access token's.
#[derive(Clone, Debug)]
pub struct Claims {
    /// The payload.
    pub payload: Map<String, Value>,
    /// `typ`.
    pub typ: Option<String>,
}

impl Claims {
    /// With a claim set, or with `Value::Null` removed.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        match value.into() {
            Value::Null => self.payload.remove(name),
            value => self.payload.insert(name.to_owned(), value),
        };
        self
    }
}

impl Mint {
    pub(crate) fn new(pem: &str, key_id: &str, clock: Arc<TestClock>) -> Self {
        let key = EncodingKey::from_ec_pem(pem.as_bytes()).expect("a key");
        Self { key, key_id: key_id.to_owned(), clock }
    }

    /// The claims of a good access token of `user` with ten minutes left.
    pub fn claims(&self, user: &str) -> Claims {
        let now = self.clock.now().unix.as_seconds();
        let payload = json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": user, "client_id": "usher", "name": user, "roles": ["user"],
            "jti": format!("jti-{user}-{now}"), "iat": now, "exp": now + 600,
        });
        let Value::Object(payload) = payload else { unreachable!("an object") };
        Claims { payload, typ: Some("at+jwt".to_owned()) }
    }

    /// Signed with the server's key.
    pub fn sign(&self, claims: &Claims) -> String {
        self.sign_with(claims, &self.key)
    }

    /// Signed with another key under the server's key id.
    pub fn forge(&self, claims: &Claims) -> String {
        let pem = usher_auth::jwt::generate_es256_pem(&aws_lc_rs::rand::SystemRandom::new()).expect("a key");
        self.sign_with(claims, &EncodingKey::from_ec_pem(pem.as_bytes()).expect("a key"))
    }

    fn sign_with(&self, claims: &Claims, key: &EncodingKey) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.typ.clone_from(&claims.typ);
        header.kid = Some(self.key_id.clone());
        encode(&header, &claims.payload, key).expect("a token")
    }
}

/// What the test server's tokens say of whence and whither.
pub(crate) fn profile() -> AccessTokenProfile {
    AccessTokenProfile { issuer: ISSUER.to_owned(), audience: AUDIENCE.to_owned() }
}

/// What it asks of them.
pub(crate) fn own_rules() -> IssuerRules {
    IssuerRules::own(ISSUER.to_owned(), AUDIENCE.to_owned(), Duration::from_secs(5))
}

/// The claims its room rules ask for.
pub(crate) fn kept_claims() -> BTreeSet<String> {
    BTreeSet::new()
}
