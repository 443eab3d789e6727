//! Which sources are taken at all.

use std::sync::Arc;

use url::Url;
use usher_auth::Clock;
use usher_auth::ids::IssuerName;
use usher_auth::jwt::Algorithm;
use usher_axum::issuer_keys::{ForbiddenUrl, InvalidKeySource};
use usher_axum::{IssuerKeys, KeyFetchLimits, KeySource};

use crate::clock::MovableClock;
use crate::world::{ISSUER, issuer_name, token_verifier};

fn made(sources: Vec<(IssuerName, KeySource)>, algorithm: Algorithm) -> Result<IssuerKeys, InvalidKeySource> {
    let clock: Arc<dyn Clock> = Arc::new(MovableClock::new());
    IssuerKeys::new(sources, &token_verifier(algorithm), &clock, KeyFetchLimits::default())
}

fn url(text: &str) -> Url {
    text.parse().unwrap()
}

fn refused(source: KeySource) -> ForbiddenUrl {
    match made(vec![(issuer_name(), source)], Algorithm::ES256) {
        Err(InvalidKeySource::Url { issuer, source }) => {
            assert_eq!(issuer, issuer_name());
            source
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn addresses_in_clear_or_with_a_password_are_refused() {
    // req G1, G4, M7
    let oidc = |text| KeySource::OidcUrl { issuer: ISSUER.to_owned(), url: url(text), allowed_hosts: vec![] };
    assert_eq!(refused(KeySource::JwksUrl(url("http://login.example/jwks"))), ForbiddenUrl::NotHttps);
    assert_eq!(refused(oidc("http://login.example/")), ForbiddenUrl::NotHttps);
    assert_eq!(refused(KeySource::JwksUrl(url("https://me:secret@login.example/jwks"))), ForbiddenUrl::Credentials);
    assert_eq!(refused(oidc("https://me:secret@login.example/")), ForbiddenUrl::Credentials);
    assert_eq!(refused(oidc("https://login.example/?tenant=1")), ForbiddenUrl::QueryOrFragment);
    assert!(made(vec![(issuer_name(), oidc("https://login.example/a"))], Algorithm::ES256).is_ok());
    assert!(made(vec![(issuer_name(), oidc("http://localhost:8080/"))], Algorithm::ES256).is_ok());
}

#[test]
fn a_source_belongs_to_one_known_issuer() {
    let source = || KeySource::JwksUrl(url("https://login.example/jwks"));
    let other = IssuerName::new("other").unwrap();
    let unknown = made(vec![(other.clone(), source())], Algorithm::ES256);
    assert!(matches!(unknown, Err(InvalidKeySource::UnknownIssuer(name)) if name == other));
    let twice = made(vec![(issuer_name(), source()), (issuer_name(), source())], Algorithm::ES256);
    assert!(matches!(twice, Err(InvalidKeySource::Twice(name)) if name == issuer_name()));
}

#[test]
fn a_shared_secret_is_never_fetched() {
    // req F3, F13
    let source = KeySource::JwksUrl(url("https://login.example/jwks"));
    let shared = made(vec![(issuer_name(), source)], Algorithm::HS256);
    assert!(matches!(shared, Err(InvalidKeySource::SharedSecret(name)) if name == issuer_name()));
    assert!(made(vec![(issuer_name(), KeySource::Static)], Algorithm::HS256).is_ok());
}

#[tokio::test]
async fn keys_from_a_file_are_not_fetched() {
    let clock = MovableClock::new();
    let keys = made(vec![(issuer_name(), KeySource::Static)], Algorithm::ES256).unwrap();
    keys.refresh_due().await;
    assert!(!keys.refresh(&issuer_name(), clock.now()).await);
    assert!(!IssuerKeys::none().refresh(&issuer_name(), clock.now()).await);
}
