//! New keys are picked up by the first token that needs them; withdrawn ones stop verifying.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use crate::idp::page;
use crate::world::{IssuerKey, World, jwks};

#[tokio::test]
async fn a_rotation_under_load_fails_no_login_and_costs_one_fetch() {
    // req G2, G3
    let world = World::with_jwks_url().await;
    let (old, new) = (IssuerKey::new("old"), IssuerKey::new("new"));
    world.publish(&[&old]);
    world.issuer_keys().refresh_due().await;
    assert!(world.admits(&old).await);
    assert_eq!(world.fetches(), 1);

    // At once: the fetch that was merely due does not make the new key's tokens wait.
    world.publish(&[&old, &new]);
    world.clock.advance(Duration::from_secs(1));
    let logins = (0..500).map(|n| world.admits(if n % 2 == 0 { &old } else { &new }));
    assert_eq!(join_all(logins).await.into_iter().filter(|admitted| *admitted).count(), 500);
    assert_eq!(world.fetches(), 2);
}

#[tokio::test]
async fn a_withdrawn_key_verifies_nothing_after_the_fetch_that_shows_it() {
    // req G3
    let world = World::with_jwks_url().await;
    let (old, new) = (IssuerKey::new("old"), IssuerKey::new("new"));
    world.publish(&[&old]);
    assert!(world.admits(&old).await);
    world.publish(&[&new]);
    world.clock.advance(Duration::from_mins(15));
    world.issuer_keys().refresh_due().await;
    assert!(!world.admits(&old).await);
    assert!(world.admits(&new).await);
}

#[tokio::test]
async fn an_issuer_that_withdraws_all_its_keys_is_believed() {
    // req G3, G5
    let world = World::with_jwks_url().await;
    let key = IssuerKey::new("a");
    world.publish(&[&key]);
    assert!(world.admits(&key).await);
    world.publish(&[]);
    world.clock.advance(Duration::from_mins(15));
    world.issuer_keys().refresh_due().await;
    assert!(!world.admits(&key).await);
}

#[tokio::test]
async fn a_private_key_shown_to_everybody_signs_nothing_more() {
    // req G3, F14
    let world = World::with_jwks_url().await;
    let key = IssuerKey::new("a");
    world.publish(&[&key]);
    assert!(world.admits(&key).await);
    let mut leaked = jwks(&[&key]);
    leaked["keys"][0]["d"] = json!("AAAA");
    world.idp.set("/jwks", page(&leaked));
    world.clock.advance(Duration::from_mins(15));
    world.issuer_keys().refresh_due().await;
    assert!(!world.admits(&key).await);
}
