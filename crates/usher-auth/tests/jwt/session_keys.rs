//! Session keys: they stand for one session of one user, and are no access token, nor one of those a session key (req F11).

use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use serde_json::{Value, json};
use usher_auth::UnixTime;
use usher_auth::ids::{SessionId, TokenId, UserId};
use usher_auth::jwt::{
    AccessTokenProfile, Algorithm, ClaimError, FormError, IssuerRules, KeyRing, SessionKeyClaims, SigningKey,
    TokenError, TokenVerifier, TrustedIssuer, TypeError, VerifiedSessionKey, generate_es256_pem,
};
use usher_auth::secret::SESSION_KEY_PREFIX;
use usher_auth::test_util::session_key;

use crate::support::{
    AUDIENCE, ISSUER, NOW, OTHER_P256, P256, TestKey, claims_with, rules, trusting_by, verifier, verify,
};

fn own_rules() -> IssuerRules {
    IssuerRules::own(ISSUER.to_owned(), AUDIENCE.to_owned(), Duration::from_secs(5))
}

fn ours() -> TokenVerifier {
    trusting_by(&P256, own_rules())
}

/// A key by `signer` whose type and claims are as told.
fn made_by(signer: &TestKey, typ: &str, changes: Value) -> String {
    let mut claims = claims_with(json!({"sid": "ses_1", "client_id": null}));
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    format!("{SESSION_KEY_PREFIX}{}", signer.sign(json!({"kid": "k1", "typ": typ}), &claims))
}

fn key_with(changes: Value) -> String {
    made_by(&P256, "usher-session-key+jwt", changes)
}

fn verdict(key: &str) -> Result<VerifiedSessionKey, TokenError> {
    ours().verify_session_key(key, UnixTime::from_seconds(NOW))
}

#[test]
fn a_key_of_ours_says_whose_session_it_is() {
    let pem = generate_es256_pem(&SystemRandom::new()).unwrap();
    let ring = KeyRing::new(SigningKey::from_pem(&pem).unwrap(), Vec::new());
    let verifier = verifier(vec![TrustedIssuer::new(own_rules(), ring.verification_keys())]);
    let claims = SessionKeyClaims {
        subject: UserId::local("alice").unwrap(),
        session: SessionId::new("ses_1").unwrap(),
        key_id: TokenId::new("jti_1").unwrap(),
        issued_at: UnixTime::from_seconds(NOW),
        expires_at: UnixTime::from_seconds(NOW + 600),
    };
    let profile = AccessTokenProfile { issuer: ISSUER.to_owned(), audience: AUDIENCE.to_owned() };
    let key = ring.sign_session_key(&profile, &claims);
    let at = |seconds| verifier.verify_session_key(key.reveal(), UnixTime::from_seconds(seconds));
    let expected = session_key(&claims.subject, &claims.session);
    assert_eq!(at(NOW), Ok(expected.clone()));
    // The leeway is for the clocks of our nodes.
    assert_eq!(at(NOW + 604), Ok(expected));
    assert_eq!(at(NOW + 605), Err(TokenError::Expired));
    // req F11
    let bare = key.reveal().strip_prefix("uso_").unwrap();
    assert_eq!(verify(&verifier, bare), Err(TokenError::Type(TypeError::HeaderType)));
    assert!(matches!(verify(&verifier, key.reveal()), Err(TokenError::Form(_))));
    assert_eq!(
        verifier.verify_session_key(bare, UnixTime::from_seconds(NOW)),
        Err(TokenError::Type(TypeError::HeaderType))
    );
}

#[test]
fn nothing_else_is_a_session_key() {
    // req F11
    assert!(verdict(&key_with(json!({}))).is_ok());
    for typ in ["at+jwt", "application/at+jwt", "JWT", "", "USHER-SESSION-KEY+JWT", "usher-assertion+jwt", "session"] {
        let wrong = made_by(&P256, typ, json!({"client_id": "app"}));
        assert_eq!(verdict(&wrong), Err(TokenError::Type(TypeError::HeaderType)), "{typ}");
    }
    // req F1
    let forged = made_by(&OTHER_P256, "usher-session-key+jwt", json!({}));
    assert_eq!(verdict(&forged), Err(TokenError::WrongSignature));
    for (key, error) in [
        ("uso_".to_owned(), FormError::NotThreeSegments),
        ("uso_a.b".to_owned(), FormError::NotThreeSegments),
        (format!("uso_{}", key_with(json!({}))), FormError::Base64),
        (format!("uso_{}", "a".repeat(9_000)), FormError::TooLong),
    ] {
        let refused = verdict(&key).unwrap_err();
        assert!(
            matches!(&refused, TokenError::Form(form) if *form == error || error == FormError::Base64),
            "{refused}"
        );
    }
}

#[test]
fn its_claims_are_all_there_and_of_our_making() {
    for (name, value, error) in [
        ("iss", json!("https://idp.example"), TokenError::UnknownIssuer),
        ("aud", json!("others"), TokenError::WrongAudience),
        ("aud", json!(null), ClaimError::Missing("aud").into()),
        ("sub", json!(null), ClaimError::Missing("sub").into()),
        ("sid", json!(null), ClaimError::Missing("sid").into()),
        ("sid", json!(7), ClaimError::Malformed("sid").into()),
        ("sid", json!("a b"), ClaimError::Malformed("sid").into()),
        ("jti", json!(null), ClaimError::Missing("jti").into()),
        ("iat", json!(null), ClaimError::Missing("iat").into()),
        ("exp", json!(null), ClaimError::Missing("exp").into()),
        ("exp", json!("2999999999"), ClaimError::Malformed("exp").into()),
        ("iat", json!(NOW + 60), TokenError::IssuedInFuture),
        ("nbf", json!(NOW + 60), TokenError::NotYetValid),
        ("exp", json!(NOW - 60), TokenError::Expired),
    ] {
        assert_eq!(verdict(&key_with(json!({name: value}))), Err(error), "{name} is {value}");
    }
    assert!(matches!(verdict(&key_with(json!({"sub": "idp:7"}))), Err(TokenError::Subject(_))), "not a local user");
}

#[test]
fn an_issuer_makes_no_session_keys() {
    // req F15: another issuer's signature says nothing about our sessions.
    let theirs = trusting_by(&P256, rules(&[Algorithm::ES256]));
    let key = key_with(json!({}));
    assert_eq!(theirs.verify_session_key(&key, UnixTime::from_seconds(NOW)), Err(TokenError::UnknownIssuer));
}
