//! The credential among the offered subprotocols (req C3), and the one that is answered (req A4).

use http::header::SEC_WEBSOCKET_PROTOCOL;
use http::{HeaderMap, HeaderValue};
use usher_auth::carriers::{Carrier, Credential, Presented, negotiate_subprotocol, present};
use usher_auth::protocol::SUBPROTOCOL;
use usher_auth::refusal::{Refusal, RefusalKind};
use usher_auth::secret::SecretText;

use crate::carriers::BEARER_PROTOCOL;
use crate::scene::route;

fn offer(lines: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_str(line).expect("a header value"));
    }
    headers
}

fn presented(lines: &[&str]) -> Result<Presented, Refusal> {
    present(&route(&[Carrier::Subprotocol]), &offer(lines), None)
}

fn bearer(encoded: &str) -> String {
    format!("base64url.bearer.authorization.k8s.io.{encoded}")
}

#[test]
fn the_bearer_beside_the_real_protocol() {
    let both = format!("{BEARER_PROTOCOL}, usher.v1");
    let turned = format!("usher.v1,{BEARER_PROTOCOL}");
    let three = format!("chat , {BEARER_PROTOCOL}\t,, usher.v1");
    for lines in [&[both.as_str()][..], &[turned.as_str()], &[three.as_str()], &[BEARER_PROTOCOL, "usher.v1"]] {
        let credential = Credential::Token(SecretText::new("a.b.c"));
        assert_eq!(presented(lines), Ok(Presented::Credential(Carrier::Subprotocol, credential)), "{lines:?}");
        assert_eq!(negotiate_subprotocol(&offer(lines), &[SUBPROTOCOL]), Some("usher.v1"), "never the bearer");
    }
}

#[test]
fn what_is_not_base64url_without_padding_is_refused() {
    // req C3, F7
    for encoded in [
        "YS5iLmM=",
        "YS5iLmMK/",
        "YS5iLmM+",
        "YS5i.LmM",
        "YS5i LmM",
        "Y",
        "YS5iLmN",
        // The unused bits of the last character are not zero.
        "YR",
        // Not UTF-8.
        "_w",
    ] {
        let refused = presented(&[&bearer(encoded), "usher.v1"]).expect_err("malformed");
        assert_eq!((refused.kind(), refused.status().as_u16()), (RefusalKind::MalformedCredential, 400), "{encoded}");
        assert!(!refused.detail().contains(encoded));
    }
}

#[test]
fn a_credential_of_no_form_is_still_presented() {
    for (encoded, why) in [("", "empty"), ("dXRrXw", "the prefix of a ticket")] {
        let unrecognised = Ok(Presented::Credential(Carrier::Subprotocol, Credential::Unrecognised));
        assert_eq!(presented(&[&bearer(encoded), "usher.v1"]), unrecognised, "{why}");
    }
}

#[test]
fn two_bearers_are_two_credentials() {
    // req C1, C3
    let two = format!("{BEARER_PROTOCOL}, {BEARER_PROTOCOL}, usher.v1");
    for lines in [&[two.as_str()][..], &[BEARER_PROTOCOL, BEARER_PROTOCOL, "usher.v1"], &[BEARER_PROTOCOL, &bearer("")]]
    {
        assert_eq!(
            presented(lines).map_err(|refusal| refusal.kind()),
            Err(RefusalKind::MultipleCredentials),
            "{lines:?}"
        );
    }
}

#[test]
fn the_bearer_alone_is_refused() {
    // req C3: nothing would be left to select, and a browser fails a connection whose offer is not answered.
    for lines in [
        &[BEARER_PROTOCOL][..],
        &[BEARER_PROTOCOL, "chat"],
        &[BEARER_PROTOCOL, "USHER.V1"],
        &[BEARER_PROTOCOL, "usher.v2"],
    ] {
        let refused = presented(lines).expect_err("no protocol of ours");
        assert_eq!(refused.kind(), RefusalKind::MalformedCredential);
        assert!(refused.hint().is_some_and(|hint| hint.contains("usher.v1")));
        assert_eq!(negotiate_subprotocol(&offer(lines), &[SUBPROTOCOL]), None);
    }
}

#[test]
fn the_answer_is_what_was_offered_or_nothing() {
    // req A4
    for (lines, answer) in [
        (&[][..], None),
        (&[""], None),
        (&["chat"], None),
        (&["chat, usher.v1"], Some("usher.v1")),
        (&["chat", "usher.v1"], Some("usher.v1")),
        (&["usher.v1"], Some("usher.v1")),
        (&["usher.v11"], None),
        (&["xusher.v1"], None),
        (&["usher.v1 x"], None),
    ] {
        assert_eq!(negotiate_subprotocol(&offer(lines), &[SUBPROTOCOL]), answer, "{lines:?}");
    }
}
