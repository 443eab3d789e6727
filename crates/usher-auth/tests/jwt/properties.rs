//! Whatever a stranger writes, the verifier answers, and the answer is no.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use serde_json::json;
use usher_auth::UnixTime;
use usher_auth::jwt::{Algorithm, KeySet, SubjectTemplate};

use crate::support::{HMAC, P256, claims, claims_with, trusting, verify};

/// Something JSON-like to put into a token.
fn json_text() -> impl Strategy<Value = String> {
    let member = prop_oneof![
        Just("\"alg\":\"ES256\"".to_owned()),
        Just("\"alg\":\"HS256\"".to_owned()),
        Just("\"alg\":\"none\"".to_owned()),
        Just("\"kid\":\"k1\"".to_owned()),
        Just("\"typ\":\"at+jwt\"".to_owned()),
        Just(format!("\"iss\":{}", claims()["iss"])),
        Just("\"aud\":\"usher\"".to_owned()),
        Just("\"sub\":\"alice\"".to_owned()),
        any::<f64>().prop_map(|number| format!("\"exp\":{number}")),
        any::<String>().prop_map(|text| format!("\"x\":{}", json!(text))),
        "[\\[\\]{}\",:a-z0-9.eE+-]{0,12}",
    ];
    proptest::collection::vec(member, 0..8).prop_map(|members| format!("{{{}}}", members.join(",")))
}

proptest! {
    #[test]
    fn arbitrary_text_is_never_verified(text: String, now: i64) {
        let now = UnixTime::from_millis(now);
        prop_assert!(trusting(&P256).verify(&text, now).is_err());
        prop_assert!(trusting(&HMAC).verify(&text, now).is_err());
    }

    #[test]
    fn arbitrary_segments_are_never_verified(text in "[A-Za-z0-9_=. -]{0,60}(\\.[A-Za-z0-9_-]{0,60}){0,5}") {
        prop_assert!(verify(&trusting(&P256), &text).is_err());
    }

    #[test]
    fn arbitrary_json_is_never_verified(header in json_text(), payload in json_text(), signature: Vec<u8>) {
        let segments = [header.as_bytes(), payload.as_bytes(), &signature].map(|part| URL_SAFE_NO_PAD.encode(part));
        let error = verify(&trusting(&P256), &segments.join(".")).unwrap_err();
        prop_assert!(!error.is_expired());
    }

    #[test]
    fn arbitrary_signed_payloads_never_panic(payload in json_text(), now: i64) {
        let token = P256.sign_as(Algorithm::ES256, r#"{"alg":"ES256","kid":"k1"}"#, &payload);
        if let Ok(verified) = trusting(&P256).verify(&token, UnixTime::from_millis(now)) {
            prop_assert!(verified.user().as_str().starts_with("idp:"));
        }
    }

    #[test]
    fn a_subject_stays_in_its_namespace(subject: String) {
        // req F15
        let token = P256.sign(json!({"kid": "k1"}), &claims_with(json!({"sub": subject})));
        if let Ok(verified) = verify(&trusting(&P256), &token) {
            prop_assert_eq!(verified.user().as_str(), format!("idp:{subject}"));
            prop_assert!(!verified.user().is_local());
        }
    }

    #[test]
    fn key_sets_and_templates_never_panic(bytes: Vec<u8>, text: String, json in json_text()) {
        prop_assert!(KeySet::from_jwks(&bytes, &Algorithm::ALL).is_err());
        let set = format!("{{\"keys\":[{json}]}}");
        prop_assert!(KeySet::from_jwks(set.as_bytes(), &Algorithm::ALL).is_err());
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----");
        for file in [text.as_bytes(), pem.as_bytes()] {
            prop_assert!(KeySet::from_public_key_pem(file, &Algorithm::ALL).is_err());
        }
        if let Ok(template) = text.parse::<SubjectTemplate>() {
            prop_assert_eq!(template.to_string(), text);
        }
    }
}
