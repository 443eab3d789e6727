//! However many ask, the issuer is asked once.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::poll;
use tokio::sync::Semaphore;
use usher_auth::refusal::RefusalKind;

use crate::idp::{cached, gated, page, status};
use crate::world::{IssuerKey, World, jwks};

#[tokio::test]
async fn all_who_ask_at_once_wait_for_one_request() {
    // req G2
    let world = World::with_jwks_url().await;
    let key = IssuerKey::new("a");
    let gate = Arc::new(Semaphore::new(0));
    world.idp.set("/jwks", gated(&gate, page(&jwks(&[&key]))));

    let mut asking: Vec<_> = (0..100).map(|_| Box::pin(world.admits(&key))).collect();
    for one in &mut asking {
        assert!(poll!(one).is_pending());
    }
    gate.add_permits(100);
    assert!(join_all(asking).await.into_iter().all(|admitted| admitted));
    assert_eq!(world.fetches(), 1);
}

#[tokio::test]
async fn ten_thousand_unknown_keys_cause_one_fetch_in_a_window() {
    // req G2, F5
    let world = World::with_jwks_url().await;
    let key = IssuerKey::new("a");
    world.publish(&[&key]);
    assert!(world.admits(&key).await);
    assert_eq!(world.fetches(), 1);
    world.clock.advance(Duration::from_secs(30));

    let tokens = (0..10_000).map(|n| world.token_of_unknown_key(&format!("unknown-{n}")));
    let refusals = join_all(tokens.map(|token| world.present(token))).await;
    assert_eq!(refusals.iter().filter(|verdict| verdict.is_err()).count(), 10_000);
    assert_eq!(world.fetches(), 2);

    world.clock.advance(Duration::from_millis(29_999));
    for n in 0..100 {
        let refusal = world.present(world.token_of_unknown_key(&format!("later-{n}"))).await.unwrap_err();
        assert!(matches!(refusal.kind(), RefusalKind::Unauthorized | RefusalKind::Throttled { .. }), "{refusal:?}");
    }
    assert_eq!(world.fetches(), 2);

    world.clock.advance(Duration::from_millis(1));
    for n in 0..100 {
        assert!(world.present(world.token_of_unknown_key(&format!("last-{n}"))).await.is_err());
    }
    assert_eq!(world.fetches(), 3);
    assert!(world.admits(&key).await, "who has a good token is not kept out by any of this");
}

#[tokio::test]
async fn a_fetch_outlives_whoever_asked_for_it() {
    // req G2
    let world = World::with_jwks_url().await;
    let key = IssuerKey::new("a");
    let gate = Arc::new(Semaphore::new(0));
    world.idp.set("/jwks", gated(&gate, page(&jwks(&[&key]))));

    let mut first = Box::pin(world.admits(&key));
    assert!(poll!(&mut first).is_pending());
    world.idp.asked_for("/jwks", 1).await;
    drop(first);

    let mut second = Box::pin(world.admits(&key));
    assert!(poll!(&mut second).is_pending());
    gate.add_permits(1);
    assert!(second.await);
    assert_eq!(world.fetches(), 1);
}

#[tokio::test]
async fn a_verdict_from_before_a_fetch_is_reconsidered_without_another() {
    // req G2, G3
    let world = World::with_jwks_url().await;
    let key = IssuerKey::new("a");
    world.publish(&[&key]);
    let before = usher_auth::Clock::now(&*world.clock);
    world.clock.advance(Duration::from_secs(1));
    assert!(world.refresh().await);
    world.clock.advance(Duration::from_secs(1));

    let name = crate::world::issuer_name();
    assert!(world.issuer_keys().refresh(&name, before).await, "the keys came after the verdict");
    assert!(!world.refresh().await, "the keys came before the verdict");
    assert_eq!(world.fetches(), 1);
}

#[tokio::test]
async fn keys_are_fetched_ahead_while_the_server_already_serves() {
    // req G2, G3
    let world = World::with_jwks_url().await;
    let key = IssuerKey::new("a");
    let gate = Arc::new(Semaphore::new(0));
    world.idp.set("/jwks", gated(&gate, page(&jwks(&[&key]))));

    let issuer_keys = world.issuer_keys().clone();
    let keeping = tokio::spawn(async move { issuer_keys.keep_fresh().await });
    world.idp.asked_for("/jwks", 1).await;
    let mut early = Box::pin(world.admits(&key));
    assert!(poll!(&mut early).is_pending(), "a token that comes before the keys waits for them");
    gate.add_permits(1);
    assert!(early.await);
    assert_eq!(world.fetches(), 1);
    assert!(!keeping.is_finished());
    keeping.abort();
}

#[tokio::test]
async fn a_fetch_out_of_turn_changes_when_the_next_one_is_due() {
    // req G2
    let world = World::with_jwks_url().await;
    let (old, new) = (IssuerKey::new("old"), IssuerKey::new("new"));
    world.idp.set("/jwks", cached(&jwks(&[&old]), "max-age=86400"));
    let issuer_keys = world.issuer_keys().clone();
    let keeping = tokio::spawn(async move { issuer_keys.keep_fresh().await });
    world.idp.asked_for("/jwks", 1).await;
    assert!(world.admits(&old).await);
    // A verdict from the very moment of a fetch is out of date by it and asks for no other.
    world.clock.advance(Duration::from_millis(1));
    world.idp.set("/jwks", cached(&jwks(&[&old, &new]), "max-age=300"));
    assert!(world.admits(&new).await);
    assert_eq!(world.fetches(), 2);

    // Both the clock and the timers are five minutes further now.
    let five_minutes = Duration::from_mins(5);
    world.clock.advance(five_minutes);
    tokio::time::pause();
    tokio::time::advance(five_minutes).await;
    tokio::time::resume();
    let refreshed = world.idp.asked_for("/jwks", 3);
    assert!(tokio::time::timeout(Duration::from_secs(30), refreshed).await.is_ok(), "it was not due until tomorrow");
    keeping.abort();
}

#[tokio::test]
async fn keys_are_fetched_again_when_they_are_no_longer_fresh() {
    // req G2
    let world = World::with_jwks_url().await;
    let key = IssuerKey::new("a");
    world.idp.set("/jwks", cached(&jwks(&[&key]), "public, max-age=3600"));
    world.issuer_keys().refresh_due().await;
    assert_eq!(world.fetches(), 1);
    world.clock.advance(Duration::from_hours(1) - Duration::from_millis(1));
    world.issuer_keys().refresh_due().await;
    assert_eq!(world.fetches(), 1);
    world.clock.advance(Duration::from_millis(1));
    world.idp.set("/jwks", cached(&jwks(&[&key]), "max-age=0"));
    world.issuer_keys().refresh_due().await;
    assert_eq!(world.fetches(), 2);

    // An issuer that forbids caching is asked no more often than we choose.
    world.clock.advance(Duration::from_mins(5) - Duration::from_millis(1));
    world.issuer_keys().refresh_due().await;
    assert_eq!(world.fetches(), 2);
    world.clock.advance(Duration::from_millis(1));
    world.issuer_keys().refresh_due().await;
    assert_eq!(world.fetches(), 3);
}

#[tokio::test]
async fn a_failed_fetch_is_not_tried_again_within_the_window() {
    // req G2, G5
    let world = World::with_jwks_url().await;
    let key = IssuerKey::new("a");
    world.idp.set("/jwks", status(http::StatusCode::SERVICE_UNAVAILABLE));
    world.issuer_keys().refresh_due().await;
    assert!(!world.admits(&key).await);
    world.clock.advance(Duration::from_millis(29_999));
    world.publish(&[&key]);
    assert!(!world.admits(&key).await);
    world.issuer_keys().refresh_due().await;
    assert_eq!(world.fetches(), 1);
    world.clock.advance(Duration::from_millis(1));
    assert!(world.admits(&key).await);
    assert_eq!(world.fetches(), 2);
}
