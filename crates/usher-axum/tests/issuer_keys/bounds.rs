//! What an issuer's server can do to us: nothing beyond its size, its time and its address.

use std::sync::Arc;
use std::time::Duration;

use futures_util::poll;
use http::StatusCode;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::canary::Canary;
use crate::idp::{endless, redirect, silent, stalled, status, text};
use crate::log;
use crate::world::{IssuerKey, World, jwks};

#[tokio::test]
async fn an_endless_key_set_is_cut_off() {
    // req G4
    let world = World::with_jwks_url().await;
    let hung_up = Arc::new(Semaphore::new(0));
    world.idp.set("/jwks", endless(&hung_up));
    assert!(!world.refresh().await);
    hung_up.acquire().await.unwrap().forget();
    assert_eq!(world.fetches(), 1);
}

#[tokio::test]
async fn a_key_set_may_have_64_kib_and_no_byte_more() {
    // req G4
    for (length, taken) in [(64 * 1024, true), (64 * 1024 + 1, false)] {
        let world = World::with_jwks_url().await;
        let key = IssuerKey::new("a");
        let mut document = jwks(&[&key]);
        document["padding"] = json!("");
        let padding = length - document.to_string().len();
        document["padding"] = json!("x".repeat(padding));
        assert_eq!(document.to_string().len(), length);
        world.idp.set("/jwks", text(&document.to_string()));
        assert_eq!(world.admits(&key).await, taken, "{length}");
    }
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_on() {
    // req G4
    let world = World::with_jwks_url().await;
    let stuck = Arc::new(Semaphore::new(0));
    for (page, key_id) in [(silent(&stuck), "a"), (stalled(&stuck), "b")] {
        world.idp.set("/jwks", page);
        let mut asking = Box::pin(world.refresh());
        assert!(poll!(&mut asking).is_pending());
        stuck.acquire().await.unwrap().forget();
        // From here on nothing happens any more but the passing of time, which then passes at once.
        tokio::time::pause();
        assert!(!asking.await);
        tokio::time::resume();
        assert!(log::take().contains("how fast"), "the time was up, and nothing else was wrong");

        let key = IssuerKey::new(key_id);
        world.publish(&[&key]);
        world.clock.advance(Duration::from_secs(30));
        assert!(world.admits(&key).await, "its place is free again");
        world.clock.advance(Duration::from_secs(30));
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    // req G1, G4
    let world = World::with_jwks_url().await;
    let canary = Canary::new().await;
    world.idp.set("/jwks", redirect(&canary.url("/jwks")));
    assert!(!world.refresh().await);
    assert!(!canary.sang().await);

    // Nor within the same server.
    let key = IssuerKey::new("a");
    world.idp.set("/elsewhere", text(&jwks(&[&key]).to_string()));
    world.idp.set("/jwks", redirect("/elsewhere"));
    world.clock.advance(Duration::from_secs(30));
    assert!(!world.admits(&key).await);
    assert_eq!(world.idp.count("/elsewhere"), 0);
}

#[tokio::test]
async fn only_200_brings_keys() {
    // req G4
    for code in [201, 203, 204, 206, 304, 400, 401, 404, 429, 500] {
        let world = World::with_jwks_url().await;
        world.idp.set("/jwks", status(StatusCode::from_u16(code).unwrap()));
        assert!(!world.refresh().await, "{code}");
        assert_eq!(world.fetches(), 1, "{code}");
    }
}
