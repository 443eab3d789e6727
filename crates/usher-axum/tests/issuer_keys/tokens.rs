//! Nothing in a token makes us ask anybody but the configured issuer.

use serde_json::{Value, json};

use crate::canary::Canary;
use crate::world::{IssuerKey, World, jwks};

#[tokio::test]
async fn a_token_sends_us_nowhere() {
    // req F4, F5
    let world = World::with_jwks_url().await;
    let canary = Canary::new().await;
    let (key, evil) = (IssuerKey::new("a"), IssuerKey::new("evil"));
    world.publish(&[&key]);
    let url = canary.url("/jwks");
    let headers = [
        json!({"jku": url}),
        json!({"x5u": url}),
        json!({"jwk": evil.jwk()}),
        json!({"x5c": ["AAAA"]}),
        json!({"jku": url, "x5u": url, "jwk": evil.jwk()}),
        json!({"kid": url}),
        json!({"kid": "../../dev/null"}),
        json!({"kid": format!("@{}/", canary.address)}),
        json!({"kid": "/jwks?evil"}),
    ];
    for header in headers {
        let token = world.token_with_header(&evil, &header);
        assert!(world.present(token).await.is_err(), "{header}");
        assert!(!canary.sang().await, "{header}");
        world.clock.advance(std::time::Duration::from_secs(30));
    }
    assert!(world.fetches() > 0, "an unknown key did cause fetches");
    assert!(world.idp.requests().iter().all(|request| request == "/jwks"), "{:?}", world.idp.requests());
    assert!(world.admits(&key).await);
}

#[tokio::test]
async fn an_issuer_that_is_not_configured_is_never_asked() {
    // req F4, F9
    let world = World::with_jwks_url().await;
    let canary = Canary::new().await;
    let evil = IssuerKey::new("evil");
    world.idp.set("/evil", crate::idp::page(&jwks(&[&evil])));
    for issuer in [canary.url(""), world.idp.url("/evil").to_string(), "https://login.example/".to_owned()] {
        let mut claims = world.claims();
        claims["iss"] = Value::String(issuer);
        assert!(world.present(evil.sign(&json!({"alg": "ES256", "kid": "evil"}), &claims)).await.is_err());
    }
    assert!(!canary.sang().await);
    assert!(world.idp.requests().is_empty());
}
