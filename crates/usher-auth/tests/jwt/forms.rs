//! The form of a token: serialisations, base64url, JSON and size (req F6, F7, F16).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use usher_auth::jwt::{Algorithm, FormError, InvalidAlgorithm, MAX_TOKEN_BYTES, StrictJsonError, TokenError};

use crate::support::{NOW, P256, claims, claims_with, trusting, verify};

fn refused(token: &str) -> FormError {
    match verify(&trusting(&P256), token) {
        Err(TokenError::Form(error)) => error,
        other => panic!("{other:?}"),
    }
}

fn signed(header: &str, payload: &str) -> String {
    P256.sign_as(Algorithm::ES256, header, payload)
}

#[test]
fn what_changes_the_meaning_of_a_token_is_refused() {
    // req F6
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("crit", json!(["b64"])),
        ("crit", json!(["http://example.com/UNDEFINED"])),
        ("b64", json!(false)),
        ("b64", json!(true)),
        ("zip", json!("DEF")),
        ("cty", json!("JWT")),
        ("enc", json!("A256GCM")),
    ] {
        let mut header = json!({"kid": "k1"});
        header[name] = value;
        assert_eq!(refused(&P256.sign(header, &claims())), FormError::RefusedMember(name));
    }
}

#[test]
fn other_serialisations_are_refused() {
    // req F6
    let token = signed(r#"{"alg":"ES256","kid":"k1"}"#, &claims().to_string());
    let [header, payload, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("three segments") };
    for json in [
        json!({"protected": header, "payload": payload, "signature": signature}),
        json!({"payload": payload, "signatures": [{"protected": header, "signature": signature}]}),
    ] {
        assert_eq!(refused(&json.to_string()), FormError::NotThreeSegments);
    }
    // A JWE with a compressed payload, however small (RFC 8725 §3.6).
    let jwe_header = URL_SAFE_NO_PAD.encode(r#"{"alg":"dir","enc":"A256GCM","zip":"DEF"}"#);
    assert_eq!(refused(&format!("{jwe_header}..AAAA.AAAA.AAAA")), FormError::Encrypted);
    assert_eq!(refused(&format!("{jwe_header}.AAAA.AAAA")), FormError::RefusedMember("zip"));
    // A token in a token.
    let nested = signed(r#"{"alg":"ES256","kid":"k1"}"#, &token);
    assert_eq!(refused(&nested), FormError::PayloadJson(StrictJsonError::Syntax));
    // RFC 7797: the payload as it is.
    assert_eq!(refused(&format!("{header}.$.02.{signature}")), FormError::NotThreeSegments);
}

#[test]
fn a_token_has_one_form() {
    // req F7, G8: nothing can be added that leaves the signature good.
    let token = signed(r#"{"alg":"ES256","kid":"k1"}"#, &claims().to_string());
    assert!(verify(&trusting(&P256), &token).is_ok());
    for changed in [
        format!("{token}="),
        format!("{token}=="),
        format!("{token}\n"),
        format!(" {token}"),
        format!("{token}."),
        format!(".{token}"),
        format!("{token}.AAAA"),
        format!("Bearer {token}"),
        token.replace('.', "=."),
        token.replace('.', "\n."),
        token.replace('.', ".."),
        token.replace('.', "?."),
        format!("{token}\u{0}"),
    ] {
        let error = refused(&changed);
        let expected = [FormError::Base64, FormError::NotThreeSegments, FormError::EmptySegment, FormError::Encrypted];
        assert!(expected.contains(&error), "{changed}: {error}");
    }
    // The last character of an ES256 signature has four bits that mean nothing.
    let last = token.chars().last().unwrap();
    let with_bits = "BCDEFGHIJKLMNOP".chars().map(|c| format!("{}{c}", &token[..token.len() - 1]));
    assert!("AQgw".contains(last));
    for changed in with_bits {
        let error = verify(&trusting(&P256), &changed).unwrap_err();
        assert_eq!(error, TokenError::Form(FormError::Base64), "{changed}");
    }
}

#[test]
fn no_member_may_come_twice() {
    // req F7
    let duplicate = StrictJsonError::DuplicateMember;
    let good = claims().to_string();
    let header = r#"{"alg":"ES256","kid":"k1"}"#;
    for twice in [
        r#"{"alg":"ES256","alg":"ES256","kid":"k1"}"#,
        r#"{"alg":"none","alg":"ES256","kid":"k1"}"#,
        r#"{"alg":"ES256","kid":"k1","kid":"k1"}"#,
        r#"{"alg":"ES256","kid":"k1","x":{"a":1,"a":1}}"#,
        r#"{"alg":"ES256","kid":"k1","\u006bid":"k2"}"#,
    ] {
        assert_eq!(refused(&signed(twice, &good)), FormError::HeaderJson(duplicate));
    }
    for name in ["exp", "sub", "iss", "aud", "x"] {
        let value = claims_with(json!({"x": 1}))[name].clone();
        let payload = good.replacen('{', &format!("{{\"x\":1,\"{name}\":{value},"), 1);
        assert_eq!(refused(&signed(header, &payload)), FormError::PayloadJson(duplicate), "{payload}");
    }
    let nested = good.replacen('{', r#"{"realm_access":{"roles":["user"],"roles":["admin"]},"#, 1);
    assert_eq!(refused(&signed(header, &nested)), FormError::PayloadJson(duplicate));
}

#[test]
fn json_is_strict() {
    // req F7
    let header = r#"{"alg":"ES256","kid":"k1"}"#;
    let good = claims().to_string();
    for (payload, error) in [
        (format!("{good}{good}"), StrictJsonError::Syntax),
        (format!("{good}x"), StrictJsonError::Syntax),
        (format!("[{good}]"), StrictJsonError::NotAnObject),
        (format!("\u{feff}{good}"), StrictJsonError::Syntax),
        (good.replace('"', "'"), StrictJsonError::Syntax),
        (good.replacen('{', "{\"x\":1,}", 1), StrictJsonError::Syntax),
        (good.replacen('{', "{/* */", 1), StrictJsonError::Syntax),
        ("test".to_owned(), StrictJsonError::Syntax),
        ("\"text\"".to_owned(), StrictJsonError::NotAnObject),
    ] {
        assert_eq!(refused(&signed(header, &payload)), FormError::PayloadJson(error), "{payload}");
    }
    assert_eq!(refused(&signed(r#"["ES256"]"#, &good)), FormError::HeaderJson(StrictJsonError::NotAnObject));
    assert_eq!(
        refused(&signed(r#"{"alg":"ES256K","kid":"k1"}"#, &good)),
        FormError::Algorithm(InvalidAlgorithm::Unknown)
    );
    assert_eq!(refused(&signed(r#"{"kid":"k1"}"#, &good)), FormError::HeaderMember("alg"));
    assert_eq!(refused(&signed(r#"{"alg":["ES256"],"kid":"k1"}"#, &good)), FormError::HeaderMember("alg"));
}

#[test]
fn size_and_depth_are_bounded() {
    // req F16
    let padded = |bytes: usize| P256.sign(json!({"kid": "k1"}), &claims_with(json!({"x": "x".repeat(bytes)})));
    let longest = (5000..6500).rev().map(padded).find(|token| token.len() <= MAX_TOKEN_BYTES).unwrap();
    assert!(longest.len() > MAX_TOKEN_BYTES - 4);
    assert!(verify(&trusting(&P256), &longest).is_ok());
    assert_eq!(refused(&format!("{longest}AAAA")), FormError::TooLong);

    // 1 MiB, of which nothing is read: it would fail in another way at each later step.
    for content in ["A", ".", "{", "\u{0}", "a.b"] {
        assert_eq!(refused(&content.repeat(1024 * 1024 / content.len())), FormError::TooLong);
    }
    assert_eq!(refused(&padded(1024 * 1024)), FormError::TooLong);

    let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    let with = |levels: usize| {
        let payload = claims().to_string().replacen('{', &format!("{{\"x\":{},", nested(levels)), 1);
        signed(r#"{"alg":"ES256","kid":"k1"}"#, &payload)
    };
    assert!(verify(&trusting(&P256), &with(15)).is_ok());
    assert_eq!(refused(&with(16)), FormError::PayloadJson(StrictJsonError::TooDeep));
    assert_eq!(refused(&with(2500)), FormError::PayloadJson(StrictJsonError::TooDeep));
    let header = format!(r#"{{"alg":"ES256","kid":"k1","x":{}}}"#, nested(16));
    assert_eq!(refused(&signed(&header, &claims().to_string())), FormError::HeaderJson(StrictJsonError::TooDeep));
    assert!(claims()["exp"].as_i64().is_some_and(|exp| exp > NOW));
}
