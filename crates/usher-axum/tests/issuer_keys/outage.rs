//! An issuer that is down: its users stay in for a bounded time, and nobody new gets in without a key.

use std::sync::Arc;
use std::time::Duration;

use futures_util::poll;
use http::StatusCode;
use tokio::sync::Semaphore;
use usher_auth::refusal::RefusalKind;
use usher_axum::{KeyFetchLimits, KeySource};

use crate::idp::{gated, page, status, text};
use crate::world::{IssuerKey, World, jwks, unanswered_address};

const FRESH: Duration = Duration::from_mins(15);
const STALE: Duration = Duration::from_hours(24);
const INSTANT: Duration = Duration::from_millis(1);

#[tokio::test]
async fn nobody_gets_in_while_there_was_never_a_key() {
    // req G5
    let world = World::with_jwks_url().await;
    let key = IssuerKey::new("a");
    world.idp.set("/jwks", status(StatusCode::SERVICE_UNAVAILABLE));
    world.issuer_keys().refresh_due().await;
    let refusal = world.present(world.token(&key)).await.unwrap_err();
    assert_eq!(refusal.kind(), RefusalKind::Unauthorized);

    world.publish(&[&key]);
    world.clock.advance(Duration::from_secs(30));
    assert!(world.admits(&key).await, "and they do as soon as there is one");
}

#[tokio::test]
async fn nobody_gets_in_where_nobody_answers() {
    // req G5
    let url = format!("http://{}/jwks", unanswered_address().await);
    let world = World::new(KeyFetchLimits::default(), |_| KeySource::JwksUrl(url.parse().unwrap())).await;
    assert!(!world.admits(&IssuerKey::new("a")).await);
}

#[tokio::test]
async fn keys_outlive_the_outage_of_their_issuer_for_a_bounded_time() {
    // req G4, G5
    let world = World::with_jwks_url().await;
    let key = IssuerKey::new("a");
    world.publish(&[&key]);
    world.issuer_keys().refresh_due().await;

    world.idp.set("/jwks", status(StatusCode::INTERNAL_SERVER_ERROR));
    world.clock.advance(FRESH);
    world.issuer_keys().refresh_due().await;
    assert_eq!(world.fetches(), 2);
    assert!(world.admits(&key).await, "stale keys stay in use");

    world.clock.advance(STALE.saturating_sub(INSTANT));
    world.issuer_keys().refresh_due().await;
    assert!(world.admits(&key).await);

    world.clock.advance(INSTANT);
    world.issuer_keys().refresh_due().await;
    assert!(!world.admits(&key).await, "but not for ever");

    world.clock.advance(Duration::from_secs(30));
    world.publish(&[&key]);
    assert!(world.admits(&key).await, "until the issuer is back");
}

#[tokio::test]
async fn keys_that_are_too_old_go_before_the_issuer_is_asked_again() {
    // req G4
    let world = World::with_jwks_url().await;
    let key = IssuerKey::new("a");
    world.publish(&[&key]);
    world.issuer_keys().refresh_due().await;
    world.clock.advance(FRESH + STALE);
    let gate = Arc::new(Semaphore::new(0));
    world.idp.set("/jwks", gated(&gate, page(&jwks(&[&key]))));

    // A server that takes its time must not lengthen theirs.
    let tokens = &world.verifier.parts().tokens;
    let token = world.token(&key);
    let now = usher_auth::Clock::now(&*world.clock).unix;
    assert!(tokens.verify(&token, now).is_ok());
    let mut asking = Box::pin(world.refresh());
    assert!(poll!(&mut asking).is_pending());
    assert!(tokens.verify(&token, now).is_err());
    gate.add_permits(1);
    assert!(asking.await);
    assert!(tokens.verify(&token, now).is_ok());
}

#[tokio::test]
async fn garbage_does_not_displace_good_keys() {
    // req G4
    let world = World::with_jwks_url().await;
    let key = IssuerKey::new("a");
    world.publish(&[&key]);
    world.issuer_keys().refresh_due().await;
    let mut expected = 1;
    for garbage in ["", "<html>", "{", "null", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[1]}"#, r#"{"keys":[{}]}"#] {
        world.idp.set("/jwks", text(garbage));
        world.clock.advance(FRESH);
        world.issuer_keys().refresh_due().await;
        expected += 1;
        assert_eq!(world.fetches(), expected);
        assert!(world.admits(&key).await, "{garbage}");
    }
}
