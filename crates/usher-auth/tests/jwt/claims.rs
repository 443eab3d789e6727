//! Times, issuer, audience and the required claims (req F8 to F10, F12).

use std::time::Duration;

use serde_json::{Value, json};
use usher_auth::UnixTime;
use usher_auth::jwt::{Algorithm, ClaimError, FormError, StrictJsonError, TokenError, TokenProfile};

use crate::support::{AUDIENCE, ISSUER, NOW, P256, claims, claims_with, rules, trusting, trusting_by, verify};

const HEADER: &str = r#"{"alg":"ES256","kid":"k1","typ":"at+jwt"}"#;

fn token(changes: Value) -> String {
    P256.sign_as(Algorithm::ES256, HEADER, &claims_with(changes).to_string())
}

#[test]
fn dates_are_numbers() {
    // req F8. As text, because JSON can say more than a value here could.
    let with = |name: &str, value: &str| {
        let mut members = crate::support::object(claims());
        members.remove(name);
        let payload = Value::Object(members).to_string().replacen('{', &format!("{{\"{name}\":{value},"), 1);
        verify(&trusting(&P256), &P256.sign_as(Algorithm::ES256, HEADER, &payload))
    };
    let future = NOW + 600;
    for value in [
        future.to_string(),
        format!("{future}.0"),
        format!("{future}.75"),
        format!("{future}e0"),
        "1.7600003e9".to_owned(),
    ] {
        assert!(with("exp", &value).is_ok(), "{value}");
    }
    for value in [
        &format!("\"{future}\""),
        "\"\"",
        "\"NaN\"",
        "\"Infinity\"",
        "null",
        "true",
        "false",
        "[]",
        &format!("[{future}]"),
        &format!("{{\"exp\":{future}}}"),
        "-1",
        "-1760000600",
        "-0.001",
        "1e308",
        "-1e308",
        "253402300800",
        "9223372036854775807",
        "18446744073709551615",
        "18446744073709551616",
        "99999999999999999999999999",
    ] {
        for name in ["exp", "nbf", "iat"] {
            assert_eq!(with(name, value), Err(TokenError::Claim(ClaimError::Malformed(name))), "{name} = {value}");
        }
    }
    for value in ["NaN", "Infinity", "-Infinity", "1e999", "0x68e7a000", "+1", "01", ".5", "1.", "1_000", ""] {
        for name in ["exp", "nbf", "iat"] {
            let syntax = TokenError::Form(FormError::PayloadJson(StrictJsonError::Syntax));
            assert_eq!(with(name, value), Err(syntax), "{name} = {value}");
        }
    }
    // Far too late is too long a life, not an overflow.
    assert_eq!(with("exp", "253402300799"), Err(TokenError::LifetimeTooLong));
    assert!(with("exp", "0").unwrap_err().is_expired());
}

#[test]
fn times_are_kept_to_the_millisecond_within_the_leeway() {
    // req F8: the leeway of these rules is 30 s.
    let verifier = trusting(&P256);
    let at = |token: &str, millis: i64| verifier.verify(token, UnixTime::from_millis(NOW * 1000 + millis));
    let ends = token(json!({"exp": NOW}));
    assert!(at(&ends, 0).is_ok());
    assert!(at(&ends, 29_999).is_ok());
    assert_eq!(at(&ends, 30_000), Err(TokenError::Expired));
    assert_eq!(at(&ends, 0).unwrap().expires_at(), UnixTime::from_seconds(NOW), "the leeway is no life");
    let starts = token(json!({"nbf": NOW + 100}));
    assert_eq!(at(&starts, 69_999), Err(TokenError::NotYetValid));
    assert!(at(&starts, 70_000).is_ok());
    let issued = token(json!({"iat": NOW + 100}));
    assert_eq!(at(&issued, 69_999), Err(TokenError::IssuedInFuture));
    assert!(at(&issued, 70_000).is_ok());
    assert_eq!(at(&issued, 70_000).unwrap().issued_at(), UnixTime::from_seconds(NOW + 100));
    let fraction = token(json!({"exp": 1_760_000_000.5, "iat": 1_759_999_999.25}));
    let verified = at(&fraction, 0).unwrap();
    assert_eq!(verified.expires_at(), UnixTime::from_millis(NOW * 1000 + 500));
    assert_eq!(verified.issued_at(), UnixTime::from_millis(NOW * 1000 - 750));
}

#[test]
fn without_leeway_a_token_ends_at_its_end() {
    // req F8
    let mut strict = rules(&[Algorithm::ES256]);
    strict.leeway = Duration::ZERO;
    let verifier = trusting_by(&P256, strict);
    let token = token(json!({"exp": NOW, "nbf": NOW - 5, "iat": NOW - 5}));
    let at = |millis: i64| verifier.verify(&token, UnixTime::from_millis(NOW * 1000 + millis));
    assert!(at(-1).is_ok());
    assert_eq!(at(0), Err(TokenError::Expired));
    assert!(at(-5_000).is_ok());
    assert_eq!(at(-5_001), Err(TokenError::NotYetValid));
}

#[test]
fn a_token_lives_no_longer_than_allowed() {
    // req F8
    let mut short = rules(&[Algorithm::ES256]);
    short.max_lifetime = Duration::from_mins(10);
    let verifier = trusting_by(&P256, short);
    assert!(verify(&verifier, &token(json!({"iat": NOW, "exp": NOW + 600}))).is_ok());
    assert_eq!(verify(&verifier, &token(json!({"iat": NOW, "exp": NOW + 601}))), Err(TokenError::LifetimeTooLong));
    assert_eq!(
        verify(&verifier, &token(json!({"iat": NOW - 500, "exp": NOW + 101}))),
        Err(TokenError::LifetimeTooLong)
    );
    // Without `iat` it may have been issued now at the latest, by a clock that is 30 s ahead.
    assert!(verify(&verifier, &token(json!({"iat": null, "exp": NOW + 630}))).is_ok());
    assert_eq!(verify(&verifier, &token(json!({"iat": null, "exp": NOW + 631}))), Err(TokenError::LifetimeTooLong));
}

#[test]
fn a_token_without_iat_is_refused_unless_its_issuer_does_without() {
    // req F8, G8: one that lives too long would be refused now, and good when the end of its user is forgotten.
    let mut strict = rules(&[Algorithm::ES256]);
    strict.accepts_without_iat = false;
    strict.max_lifetime = Duration::from_mins(10);
    let verifier = trusting_by(&P256, strict);
    for lives in [1, 600, 10_000] {
        let without = token(json!({"iat": null, "exp": NOW + lives}));
        for later in [0, lives - 1] {
            let verdict = verifier.verify(&without, UnixTime::from_seconds(NOW + later));
            assert_eq!(verdict, Err(TokenError::NoIssuedAt), "{lives} {later}");
        }
    }
    assert!(verify(&verifier, &token(json!({"iat": NOW, "exp": NOW + 600}))).is_ok());
}

#[test]
fn expired_means_that_all_else_is_right() {
    // req F17: what the caller may tell the client.
    let over = |changes: Value| {
        let mut all = crate::support::object(json!({"iat": NOW - 900, "exp": NOW - 600}));
        all.extend(crate::support::object(changes));
        verify(&trusting(&P256), &token(Value::Object(all))).unwrap_err()
    };
    assert!(over(json!({})).is_expired());
    for changes in [
        json!({"aud": "other"}),
        json!({"iss": "https://other.example"}),
        json!({"sub": null}),
        json!({"sub": "a b"}),
        json!({"nbf": NOW + 3600}),
        json!({"jti": 7}),
        json!({"iat": 0}),
        json!({"events": {}}),
    ] {
        assert!(!over(changes.clone()).is_expired(), "{changes}");
    }
}

#[test]
fn the_issuer_is_compared_to_the_letter() {
    // req F9
    for other in [
        &format!("{ISSUER}/"),
        &ISSUER.to_uppercase(),
        &ISSUER.replace("idp", "IDP"),
        &ISSUER.replace("https", "http"),
        &format!("{ISSUER} "),
        &format!(" {ISSUER}"),
        &format!("{ISSUER}\u{0}"),
        &ISSUER[..ISSUER.len() - 1],
        &ISSUER.replace("example", "example:443"),
        &ISSUER.replace("/realm", "/./realm"),
        "idp",
    ] {
        assert_eq!(
            verify(&trusting(&P256), &token(json!({"iss": other}))),
            Err(TokenError::UnknownIssuer),
            "{other:?}"
        );
    }
    assert_eq!(
        verify(&trusting(&P256), &token(json!({"iss": null}))),
        Err(TokenError::Claim(ClaimError::Missing("iss")))
    );
    for value in [json!([ISSUER]), json!({"iss": ISSUER}), json!(7), json!("")] {
        let malformed = Err(TokenError::Claim(ClaimError::Malformed("iss")));
        assert_eq!(verify(&trusting(&P256), &token(json!({"iss": value}))), malformed);
    }
}

#[test]
fn the_audience_must_be_ours() {
    // req F10
    let mut two = rules(&[Algorithm::ES256]);
    two.audiences.push("https://usher.example".to_owned());
    let verifier = trusting_by(&P256, two);
    for good in [json!(AUDIENCE), json!([AUDIENCE]), json!(["other", AUDIENCE]), json!("https://usher.example")] {
        assert!(verify(&verifier, &token(json!({"aud": good}))).is_ok(), "{good}");
    }
    for wrong in [
        json!("other"),
        json!([]),
        json!(["other", "another"]),
        json!(""),
        json!([""]),
        json!("ushe"),
        json!("usher2"),
        json!("Usher"),
        json!("usher "),
        json!("usher other"),
        json!("https://usher.example/"),
        json!("https://usher.example.attacker.example"),
        json!("*"),
    ] {
        assert_eq!(verify(&verifier, &token(json!({"aud": wrong}))), Err(TokenError::WrongAudience), "{wrong}");
    }
    for malformed in [json!(7), json!(true), json!({"aud": AUDIENCE}), json!([AUDIENCE, 7]), json!([[AUDIENCE]])] {
        let error = Err(TokenError::Claim(ClaimError::Malformed("aud")));
        assert_eq!(verify(&verifier, &token(json!({"aud": malformed}))), error, "{malformed}");
    }
    assert_eq!(verify(&verifier, &token(json!({"aud": null}))), Err(TokenError::Claim(ClaimError::Missing("aud"))));
}

#[test]
fn the_required_claims_are_required() {
    // req F8, F12
    let mut access_token = rules(&[Algorithm::ES256]);
    access_token.profile = TokenProfile::AccessToken;
    let access_token = trusting_by(&P256, access_token);
    let plain = trusting(&P256);
    assert!(verify(&access_token, &token(json!({}))).is_ok());
    for name in ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"] {
        let mut without = json!({});
        without[name] = Value::Null;
        let token = token(without);
        let missing = Err(TokenError::Claim(ClaimError::Missing(name)));
        assert_eq!(verify(&access_token, &token), missing);
        if ["iss", "exp", "aud", "sub"].contains(&name) {
            assert_eq!(verify(&plain, &token), missing);
        } else {
            assert!(verify(&plain, &token).is_ok(), "{name}");
        }
    }
    let bare = verify(&plain, &token(json!({"client_id": null, "iat": null, "jti": null}))).unwrap();
    assert_eq!((bare.issued_at(), bare.token_id(), bare.session()), (UnixTime::EPOCH, None, None));
}
