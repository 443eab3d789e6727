//! One issuer, the keys it signs with, and the verifier that lets its users in.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use url::Host;
use usher_auth::carriers::{Carrier, Credential};
use usher_auth::connection::Verification;
use usher_auth::ids::IssuerName;
use usher_auth::jwt::{Algorithm, IssuerRules, KeySet, SubjectTemplate, TokenProfile, TokenVerifier, TrustedIssuer};
use usher_auth::secret::SecretText;
use usher_auth::session::SessionLimits;
use usher_auth::{Clock, Permit, Refusal};
use usher_axum::{
    ClientAddress, CredentialVerifier, FailureLimits, IssuerKeys, KeyFetchLimits, KeySource, LoginLimits, MemoryLimits,
    Presenter, SessionState, Throttle, VerifierParts,
};
use usher_store::memory::{MemoryStore, MemoryTickets};
use usher_store::{TicketBounds, WriteBehindStore};

use crate::clock::MovableClock;
use crate::idp::{Idp, page};
use crate::log;

/// What `iss` says in the issuer's tokens. It is not where the issuer's server is: that is on a port of this machine.
pub(crate) const ISSUER: &str = "https://login.example";

/// A key that the issuer signs with.
pub(crate) struct IssuerKey {
    id: &'static str,
    pair: EcdsaKeyPair,
}

impl IssuerKey {
    pub(crate) fn new(id: &'static str) -> Self {
        Self { id, pair: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap() }
    }

    pub(crate) fn jwk(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..65]));
        json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.id, "x": x, "y": y})
    }

    pub(crate) fn sign(&self, header: &Value, payload: &Value) -> String {
        let message = unsigned(header, payload);
        let signature = self.pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// An address of this machine on which nobody listens any more.
pub(crate) async fn unanswered_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// A JWK set.
pub(crate) fn jwks(keys: &[&IssuerKey]) -> Value {
    json!({"keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>()})
}

fn unsigned(header: &Value, payload: &Value) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(payload.to_string()))
}

/// An issuer's server, and the verifier under test.
pub(crate) struct World {
    pub(crate) idp: Idp,
    pub(crate) clock: Arc<MovableClock>,
    pub(crate) verifier: CredentialVerifier,
}

pub(crate) fn issuer_name() -> IssuerName {
    IssuerName::new("login").unwrap()
}

pub(crate) fn token_verifier(algorithm: Algorithm) -> Arc<TokenVerifier> {
    let rules = IssuerRules {
        name: Some(issuer_name()),
        issuer: ISSUER.to_owned(),
        audiences: vec!["usher".to_owned()],
        algorithms: vec![algorithm],
        subject: SubjectTemplate::default(),
        roles_claim: None,
        default_roles: Vec::new(),
        profile: TokenProfile::Plain,
        leeway: Duration::ZERO,
        max_lifetime: Duration::from_hours(1),
        accepts_without_iat: false,
    };
    Arc::new(TokenVerifier::new(vec![TrustedIssuer::new(rules, KeySet::default())], BTreeSet::new()).unwrap())
}

impl World {
    /// With a JWKS URL, and the limits as they are by default.
    pub(crate) async fn with_jwks_url() -> Self {
        Self::new(KeyFetchLimits::default(), |idp| KeySource::JwksUrl(idp.url("/jwks"))).await
    }

    /// With discovery.
    pub(crate) async fn with_discovery(allowed_hosts: &[&str]) -> Self {
        let allowed_hosts = allowed_hosts.iter().map(|host| Host::parse(host).unwrap()).collect();
        Self::new(KeyFetchLimits::default(), |idp| KeySource::OidcUrl {
            issuer: ISSUER.to_owned(),
            url: idp.url("/"),
            allowed_hosts,
        })
        .await
    }

    pub(crate) async fn new(limits: KeyFetchLimits, source: impl FnOnce(&Idp) -> KeySource) -> Self {
        log::begin();
        let idp = Idp::start().await;
        let clock = Arc::new(MovableClock::new());
        let shared_clock: Arc<dyn Clock> = clock.clone();
        let tokens = token_verifier(Algorithm::ES256);
        let sources = vec![(issuer_name(), source(&idp))];
        let issuer_keys = IssuerKeys::new(sources, &tokens, &shared_clock, limits).unwrap();
        let store = MemoryStore::new();
        let limits_of_sessions = SessionLimits { idle: Duration::from_hours(1), absolute: Duration::from_hours(1) };
        let verifier = CredentialVerifier::new(VerifierParts {
            sessions: SessionState::load(&store, limits_of_sessions, MemoryLimits::default()).await.unwrap(),
            store: WriteBehindStore::new(Arc::new(store)),
            tickets: Arc::new(MemoryTickets::new(TicketBounds { per_user: 1, total: 1 })),
            tokens,
            issuer_keys,
            throttle: Arc::new(Throttle::new(FailureLimits::default(), LoginLimits::default(), &[7; 32])),
            clock: shared_clock,
        });
        Self { idp, clock, verifier }
    }

    pub(crate) fn issuer_keys(&self) -> &IssuerKeys {
        &self.verifier.parts().issuer_keys
    }

    /// From now on the issuer publishes these keys.
    pub(crate) fn publish(&self, keys: &[&IssuerKey]) {
        self.idp.set("/jwks", page(&jwks(keys)));
    }

    /// How often the key set was asked for.
    pub(crate) fn fetches(&self) -> usize {
        self.idp.count("/jwks")
    }

    /// Says that a token's key is unknown; whether there are others now.
    pub(crate) async fn refresh(&self) -> bool {
        self.issuer_keys().refresh(&issuer_name(), self.clock.now()).await
    }

    /// Alice's claims, with ten minutes left.
    pub(crate) fn claims(&self) -> Value {
        let now = self.clock.now().unix.as_seconds();
        json!({"iss": ISSUER, "aud": "usher", "sub": "alice", "iat": now, "exp": now + 600})
    }

    /// A good token of Alice's.
    pub(crate) fn token(&self, key: &IssuerKey) -> String {
        key.sign(&json!({"alg": "ES256", "kid": key.id}), &self.claims())
    }

    /// A token of Alice's with members added to its header.
    pub(crate) fn token_with_header(&self, key: &IssuerKey, members: &Value) -> String {
        let mut header = json!({"alg": "ES256", "kid": key.id});
        for (name, value) in members.as_object().unwrap() {
            header[name] = value.clone();
        }
        key.sign(&header, &self.claims())
    }

    /// A token whose key nobody has, and whose signature is nobody's.
    pub(crate) fn token_of_unknown_key(&self, key_id: &str) -> String {
        let message = unsigned(&json!({"alg": "ES256", "kid": key_id}), &self.claims());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode([1; 64]))
    }

    /// Presents a token at the door.
    pub(crate) async fn present(&self, token: String) -> Result<Permit, Refusal> {
        let presenter =
            Presenter { address: ClientAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)), origin: None, path: "/ws".to_owned() };
        let credential = Credential::Token(SecretText::new(token));
        self.verifier.verify(Verification { carrier: Carrier::Header, credential }, &presenter).await
    }

    /// Whether Alice gets in with a token of `key`.
    pub(crate) async fn admits(&self, key: &IssuerKey) -> bool {
        match self.present(self.token(key)).await {
            Ok(permit) => {
                assert_eq!(permit.principal().id.as_str(), "login:alice");
                true
            }
            Err(_) => false,
        }
    }
}
