//! What a log may show: neither tokens nor keys (req F17, G9).

use serde_json::json;
use usher_auth::jwt::{Algorithm, Compact, KeySet, TrustedIssuer};
use usher_auth::secret::SecretText;

use crate::support::{HMAC, NOW, P256, SECRET, claims_with, rules, trusting, verifier, verify};

/// A word that every part of the bad tokens contains.
const MARK: &str = "XYZZY";

#[test]
fn errors_repeat_nothing_of_the_token() {
    // req F17
    let verifier = trusting(&P256);
    let claims = |changes| claims_with(changes).to_string();
    let marked_header = format!(r#"{{"alg":"ES256","kid":"k1","x":"{MARK}"}}"#);
    let mut errors = 0;
    for (header, payload) in [
        (format!(r#"{{"alg":"{MARK}"}}"#), claims(json!({}))),
        (format!(r#"{{"alg":"ES256","{MARK}":1,"{MARK}":2}}"#), claims(json!({}))),
        (format!(r#"{{"alg":"ES256","kid":"{MARK}"}}"#), claims(json!({}))),
        (format!(r#"{{"alg":"ES256","kid":"k1","typ":"{MARK}"}}"#), claims(json!({}))),
        (format!(r#"{{"alg":"ES256","jku":"{MARK}"}}"#), claims(json!({}))),
        (format!(r#"{{"alg":"ES256","{MARK}"}}"#), claims(json!({}))),
        (marked_header.clone(), claims(json!({"iss": MARK}))),
        (marked_header.clone(), claims(json!({"aud": MARK}))),
        (marked_header.clone(), claims(json!({"exp": MARK}))),
        (marked_header.clone(), claims(json!({"exp": NOW - 3600, "x": MARK}))),
        (marked_header.clone(), claims(json!({"sub": format!("{MARK} {MARK}")}))),
        (marked_header.clone(), claims(json!({"jti": format!("{MARK} {MARK}")}))),
        (marked_header.clone(), claims(json!({"typ": MARK}))),
        (marked_header.clone(), format!("{{\"{MARK}\"}}")),
        (marked_header, MARK.to_owned()),
    ] {
        let token = P256.sign_as(Algorithm::ES256, &header, &payload);
        let error = verify(&verifier, &token).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains(MARK), "{shown}");
        for segment in token.split('.') {
            assert!(!shown.contains(segment.get(..8).unwrap_or(segment)), "{shown}");
        }
        errors += 1;
    }
    assert_eq!(errors, 15);
}

#[test]
fn debug_shows_no_secret() {
    // req G9
    let keys = KeySet::from_hmac_secret(SECRET, &[Algorithm::HS256]).unwrap();
    let verifier = verifier(vec![TrustedIssuer::new(rules(&[Algorithm::HS256]), keys.clone())]);
    let token = SecretText::new(HMAC.sign(json!({"kid": "k1"}), &claims_with(json!({"x": MARK}))));
    let shown = format!("{keys:?} {verifier:?} {token:?} {:?}", Compact::parse(token.reveal()).unwrap());
    assert!(shown.contains("HS256"));
    for part in [std::str::from_utf8(&SECRET[..8]).unwrap(), "51, 113", "[redacted]", MARK, &token.reveal()[..8]] {
        assert!(!shown.contains(part), "{shown}");
    }
}
