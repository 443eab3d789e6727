//! OpenID Connect Discovery: the metadata must be the configured issuer's, and may lead only where the operator allows.

use std::time::Duration;

use http::StatusCode;

use crate::canary::Canary;
use crate::idp::{endless, redirect, status, text};
use crate::world::{ISSUER, IssuerKey, World};

const METADATA: &str = "/.well-known/openid-configuration";

#[tokio::test]
async fn discovery_leads_to_the_keys() {
    // req G1
    let world = World::with_discovery(&[]).await;
    let key = IssuerKey::new("a");
    world.idp.set_metadata(ISSUER, world.idp.url("/jwks").as_str());
    world.publish(&[&key]);
    assert!(world.admits(&key).await);
    assert_eq!(world.idp.requests(), [METADATA, "/jwks"]);
}

#[tokio::test]
async fn metadata_of_another_issuer_leaves_this_one_without_keys() {
    // req G1
    let others =
        ["https://login.example/", "https://LOGIN.example", "https://login.example:443", "https://evil.example", ""];
    for other in others {
        let world = World::with_discovery(&[]).await;
        let key = IssuerKey::new("a");
        world.idp.set_metadata(other, world.idp.url("/jwks").as_str());
        world.publish(&[&key]);
        assert!(!world.admits(&key).await, "{other}");
        assert_eq!(world.idp.requests(), [METADATA], "{other}");
    }
}

#[tokio::test]
async fn metadata_that_becomes_another_issuers_disables_this_one() {
    // req G1
    let world = World::with_discovery(&[]).await;
    let key = IssuerKey::new("a");
    world.idp.set_metadata(ISSUER, world.idp.url("/jwks").as_str());
    world.publish(&[&key]);
    assert!(world.admits(&key).await);
    world.idp.set_metadata("https://evil.example", world.idp.url("/jwks").as_str());
    world.clock.advance(Duration::from_mins(15));
    world.issuer_keys().refresh_due().await;
    assert!(!world.admits(&key).await);
}

#[tokio::test]
async fn bad_metadata_leads_nowhere() {
    // req G1, G4
    let world = World::with_discovery(&[]).await;
    let canary = Canary::new().await;
    let hung_up = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let twice = format!(r#"{{"issuer":"https://evil.example","issuer":"{ISSUER}","jwks_uri":"{}"}}"#, canary.url("/"));
    let pages = [
        text(""),
        text("<html>"),
        text("null"),
        text(r#"{"issuer":"https://login.example"}"#),
        text(r#"{"issuer":"https://login.example","jwks_uri":1}"#),
        text(r#"{"issuer":["https://login.example"],"jwks_uri":"https://login.example/"}"#),
        text(&twice),
        status(StatusCode::NOT_FOUND),
        redirect(&canary.url(METADATA)),
        endless(&hung_up),
    ];
    for (n, page) in pages.into_iter().enumerate() {
        world.idp.set(METADATA, page);
        assert!(!world.refresh().await, "page {n}");
        assert_eq!(world.idp.count(METADATA), n + 1);
        world.clock.advance(Duration::from_secs(30));
    }
    assert_eq!(world.fetches(), 0);
    assert!(!canary.sang().await);
}

#[tokio::test]
async fn discovery_leads_to_no_host_that_is_not_allowed() {
    // req G4, F4
    let world = World::with_discovery(&["localhost", "127.0.0.3"]).await;
    let canary = Canary::new().await;
    let port = canary.address.port();
    let (stranger, private) = (Canary::at("127.0.0.2").await, Canary::at("127.0.0.3").await);
    let refused = [
        // Not allowed at all.
        format!("https://{}/jwks", stranger.address),
        // Allowed by name, but not public.
        format!("https://localhost:{port}/jwks"),
        format!("https://{}/jwks", private.address),
        // Allowed, but in clear.
        format!("http://localhost:{port}/jwks"),
        // The right host in the wrong place.
        format!("https://{}@localhost:{port}/jwks", world.idp.address.ip()),
        "file:///etc/passwd".to_owned(),
        "/jwks".to_owned(),
        String::new(),
    ];
    for (n, jwks_uri) in refused.iter().enumerate() {
        world.idp.set_metadata(ISSUER, jwks_uri);
        assert!(!world.refresh().await, "{jwks_uri}");
        assert_eq!(world.idp.count(METADATA), n + 1, "{jwks_uri}");
        for canary in [&canary, &stranger, &private] {
            assert!(!canary.sang().await, "{jwks_uri}");
        }
        world.clock.advance(Duration::from_secs(30));
    }
    // The same listener is reached where the rules allow it, so the silence above was theirs.
    world.idp.set_metadata(ISSUER, &format!("https://127.0.0.1:{port}/jwks"));
    let fetching = world.issuer_keys().clone();
    let now = usher_auth::Clock::now(&*world.clock);
    let fetching = tokio::spawn(async move { fetching.refresh(&crate::world::issuer_name(), now).await });
    world.idp.asked_for(METADATA, refused.len() + 1).await;
    assert!(canary.comes().await);
    fetching.abort();
}
