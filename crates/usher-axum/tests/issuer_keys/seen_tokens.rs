//! A token that was let in before is let in again for no other reason than a new one would be.

use std::time::Duration;

use serde_json::json;
use usher_auth::Clock as _;
use usher_auth::ids::{IssuerSessionId, IssuerSubject, TokenId, UserId};
use usher_auth::refusal::RefusalKind;
use usher_auth::revocation::{Revocation, RevocationCause, RevocationTarget};
use usher_store::SessionEvent;

use crate::world::{IssuerKey, World, issuer_name};

const LIVES: Duration = Duration::from_mins(30);

/// A world that has let this token in twice, of a key named `a`.
async fn let_in(lives: Duration) -> (World, IssuerKey, String) {
    let world = World::with_jwks_url().await;
    let key = IssuerKey::new("a");
    world.publish(&[&key]);
    let mut claims = world.claims();
    let now = world.clock.now().unix.as_seconds();
    claims["jti"] = json!("jti-1");
    claims["sid"] = json!("the issuer's session");
    claims["nbf"] = json!(now);
    claims["exp"] = json!(now + i64::try_from(lives.as_secs()).expect("not so long"));
    let token = key.sign(&json!({"alg": "ES256", "kid": "a"}), &claims);
    for _ in 0..2 {
        assert!(world.present(token.clone()).await.is_ok());
    }
    (world, key, token)
}

async fn refused(world: &World, token: String) -> RefusalKind {
    world.present(token).await.expect_err("it must not be let in").kind()
}

#[tokio::test]
async fn its_key_is_withdrawn() {
    // req G3, G5
    for leaves in [vec![], vec![IssuerKey::new("b")]] {
        let (world, _, token) = let_in(LIVES).await;
        world.publish(&leaves.iter().collect::<Vec<_>>());
        world.clock.advance(Duration::from_mins(15));
        world.issuer_keys().refresh_due().await;
        assert_eq!(refused(&world, token).await, RefusalKind::Unauthorized);
    }
}

#[tokio::test]
async fn it_expires() {
    // req F8, H1
    let (world, key, token) = let_in(LIVES).await;
    let second = Duration::from_secs(1);
    world.clock.advance(LIVES.saturating_sub(second));
    assert!(world.present(token.clone()).await.is_ok());
    world.clock.advance(second);
    // As one that nobody has seen before, to the word.
    let unseen = key.sign(&json!({"alg": "ES256", "kid": "a"}), &{
        let mut claims = world.claims();
        claims["exp"] = claims["iat"].clone();
        claims["iat"] = json!(claims["iat"].as_i64().expect("a number") - 600);
        claims
    });
    let (seen, unseen) = (world.present(token).await.unwrap_err(), world.present(unseen).await.unwrap_err());
    assert_eq!((seen.kind(), seen.detail()), (RefusalKind::Expired, unseen.detail()));
}

#[tokio::test]
async fn it_is_revoked() {
    // req D6, H5
    let targets = [
        RevocationTarget::Token(Some(issuer_name()), TokenId::new("jti-1").expect("an id")),
        RevocationTarget::User {
            user: UserId::new("login:alice").expect("an id"),
            issued_before: usher_auth::UnixTime::MAX,
            except: None,
        },
        // As an identity provider's log-out names them (req H16).
        RevocationTarget::IssuerSession(issuer_name(), IssuerSessionId::new("the issuer's session").expect("an id")),
        RevocationTarget::IssuerSubject {
            issuer: issuer_name(),
            subject: IssuerSubject::new("alice").expect("an id"),
            issued_before: usher_auth::UnixTime::MAX,
        },
    ];
    for target in targets {
        let (world, _, token) = let_in(LIVES).await;
        let now = world.clock.now();
        let forget_at = now.unix.plus(LIVES);
        let revocation = Revocation { target, cause: RevocationCause::Administrator, at: now.unix, forget_at };
        let event = SessionEvent::Revoked { revocations: vec![revocation], margin: None };
        assert_eq!(world.verifier.parts().sessions.apply(&event, now).ended(), 0);
        assert_eq!(refused(&world, token).await, RefusalKind::Unauthorized);
    }
}

#[tokio::test]
async fn one_character_is_another() {
    // req F1
    let (world, _, token) = let_in(LIVES).await;
    for at in [0, token.len() / 2, token.len() - 1] {
        let mut other = token.clone().into_bytes();
        other[at] = if other[at] == b'A' { b'B' } else { b'A' };
        let other = String::from_utf8(other).expect("still ASCII");
        assert_eq!(refused(&world, other).await, RefusalKind::Unauthorized);
    }
    assert!(world.present(token).await.is_ok());
}

#[tokio::test]
async fn the_clock_was_set_back_to_before_its_beginning() {
    let (world, _, token) = let_in(LIVES).await;
    world.clock.set_back(Duration::from_mins(1));
    assert_eq!(refused(&world, token).await, RefusalKind::Unauthorized);
}
