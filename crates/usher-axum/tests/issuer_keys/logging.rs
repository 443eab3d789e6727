//! What the operator reads: what happened, what to do about it, and nothing that the other side made up at length.

use std::time::Duration;

use usher_axum::{KeyFetchLimits, KeySource};

use crate::idp::{redirect, status};
use crate::log;
use crate::world::{ISSUER, IssuerKey, World, unanswered_address};

#[tokio::test]
async fn success_and_failure_are_told_apart() {
    // req G4, G5
    let world = World::with_jwks_url().await;
    world.idp.set("/jwks", status(http::StatusCode::NOT_FOUND));
    assert!(!world.refresh().await);
    let text = log::take();
    assert!(text.contains("ERROR") && text.contains("issuer=login") && text.contains("404"), "{text}");
    assert!(text.contains("its tokens are refused") && text.contains("advice="), "{text}");

    world.publish(&[&IssuerKey::new("a"), &IssuerKey::new("b")]);
    world.clock.advance(Duration::from_secs(30));
    assert!(world.refresh().await);
    let text = log::take();
    assert!(text.contains("INFO") && text.contains("issuer=login") && text.contains("keys=2"), "{text}");

    world.idp.set("/jwks", redirect("https://elsewhere.example/"));
    world.clock.advance(Duration::from_secs(30));
    assert!(!world.refresh().await);
    let text = log::take();
    assert!(text.contains("WARN") && text.contains("stay in use") && text.contains("redirect"), "{text}");
}

#[tokio::test]
async fn what_the_other_side_made_up_is_cut_short() {
    // req G4
    let world = World::with_discovery(&[]).await;
    world.idp.set_metadata(&format!("{ISSUER}/\n{}", "x".repeat(50_000)), "https://login.example/");
    assert!(!world.refresh().await);
    let text = log::take();
    assert!(text.contains(ISSUER) && text.contains("advice="), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.len() < 1500, "{} bytes", text.len());
}

#[tokio::test]
async fn the_query_of_an_address_stays_out_of_the_log() {
    // req G4
    let url = format!("http://{}/jwks?key=hunter2", unanswered_address().await);
    let world = World::new(KeyFetchLimits::default(), |_| KeySource::JwksUrl(url.parse().unwrap())).await;
    assert!(!world.refresh().await);
    let text = log::take();
    assert!(text.contains("cannot be fetched") && !text.contains("hunter2"), "{text}");
}
