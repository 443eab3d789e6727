//! How each refusal is shown: over HTTP or by a socket that closes, with which status, code, reason and challenge.

use std::time::Duration;

use usher_auth::carriers::Carrier;
use usher_auth::close_code::{CloseCodes, CloseProfile, MAX_REASON_BYTES};
use usher_auth::refusal::RefusalKind;
use usher_auth::route::{RefuseMode, RouteRules};

use crate::scene::{Scene, presented, refusal, route};

const AFTER_7_S: Duration = Duration::from_secs(7);
/// The challenge when no credential was sent: without an error code (RFC 6750 §3.1).
const BARE: Option<&str> = Some("Bearer realm=\"usher\"");
const INVALID: Option<&str> = Some("Bearer realm=\"usher\", error=\"invalid_token\"");
const SCOPE: Option<&str> = Some("Bearer realm=\"usher\", error=\"insufficient_scope\"");

/// Codes in the profiles `usher`, `policy`, `iana`.
const UNAUTHORIZED: [u16; 3] = [4001, 1008, 3000];
const FORBIDDEN: [u16; 3] = [4003, 4003, 3003];
const TOO_MANY: [u16; 3] = [4029, 1008, 1013];

/// What a browser gets under `auto`.
#[derive(Clone, Copy, PartialEq)]
enum Browser {
    Http,
    Close,
}
use Browser::{Close, Http};

struct Row {
    kind: RefusalKind,
    status: u16,
    challenge: Option<&'static str>,
    browser: Browser,
    codes: [u16; 3],
    reason: &'static str,
    code: &'static str,
    reconnect: &'static str,
}

#[rustfmt::skip]
fn table() -> Vec<Row> {
    use RefusalKind as K;
    let row = |kind, status, challenge, browser, codes, reason, code, reconnect| Row { kind, status, challenge, browser, codes, reason, code, reconnect };
    vec![
        row(K::MissingCredential, 401, BARE, Close, UNAUTHORIZED, "Unauthorized", "missing_credential", "no"),
        row(K::MissingTicket, 401, BARE, Http, UNAUTHORIZED, "Missing ticket", "missing_ticket", "no"),
        row(K::Unauthorized, 401, INVALID, Close, UNAUTHORIZED, "Unauthorized", "invalid_token", "no"),
        row(K::InvalidSession, 401, INVALID, Close, UNAUTHORIZED, "Invalid session", "invalid_session", "no"),
        row(K::InvalidTicket, 401, INVALID, Http, UNAUTHORIZED, "Invalid ticket", "invalid_ticket", "no"),
        row(K::SpentTicket, 401, INVALID, Http, UNAUTHORIZED, "Invalid ticket", "invalid_ticket", "no"),
        row(K::TicketNotForHere, 403, None, Http, FORBIDDEN, "Forbidden", "ticket_not_for_here", "no"),
        row(K::UserNotFound, 401, INVALID, Close, UNAUTHORIZED, "User not found", "user_not_found", "no"),
        row(K::Expired, 401, INVALID, Close, [4002, 4001, 3000], "Session expired", "session_expired", "renew"),
        row(K::MultipleCredentials, 400, None, Close, UNAUTHORIZED, "More than one credential", "multiple_credentials", "no"),
        row(K::MalformedCredential, 400, None, Close, UNAUTHORIZED, "Malformed credential", "malformed_credential", "no"),
        row(K::CarrierDisabled(Carrier::Query), 401, INVALID, Close, UNAUTHORIZED, "Unauthorized", "carrier_disabled", "no"),
        row(K::OriginForbidden, 403, None, Http, FORBIDDEN, "Origin not allowed", "origin_not_allowed", "no"),
        row(K::Forbidden, 403, SCOPE, Close, FORBIDDEN, "Forbidden", "forbidden", "no"),
        row(K::Throttled { retry_after: AFTER_7_S }, 429, None, Close, TOO_MANY, "Too many failed attempts", "throttled", "yes retry_after_ms=7000"),
        row(K::TooManyConnections { retry_after: AFTER_7_S }, 429, None, Close, TOO_MANY, "Too many connections", "too_many_connections", "yes retry_after_ms=7000"),
        row(K::AuthenticationTimeout, 408, None, Close, [4008, 1008, 3008], "Authentication timeout", "authentication_timeout", "yes"),
        row(K::NotAuthFirst, 401, INVALID, Close, UNAUTHORIZED, "Unauthorized", "not_authenticated", "no"),
        row(K::FirstMessageTooBig, 413, None, Close, [1009; 3], "Message too big", "message_too_big", "no"),
        row(K::FirstMessageBinary, 415, None, Close, [1003; 3], "Text frames only", "unsupported_data", "no"),
        row(K::Unavailable, 503, None, Close, [1011; 3], "Service unavailable", "unavailable", "yes"),
    ]
}

#[test]
fn each_refusal_in_each_mode_to_browsers_and_programs() {
    // req H10, C5; S5, S9
    for row in table() {
        for refuse in [RefuseMode::Auto, RefuseMode::Http, RefuseMode::Close] {
            for browser in [false, true] {
                for (profile, code) in
                    [CloseProfile::Usher, CloseProfile::Policy, CloseProfile::Iana].into_iter().zip(row.codes)
                {
                    let over_http = match refuse {
                        RefuseMode::Http => true,
                        // A page that may not use the cookie gets no 101, in no mode.
                        RefuseMode::Close => row.kind == RefusalKind::OriginForbidden,
                        RefuseMode::Auto => !browser || row.browser == Http,
                    };
                    let expected = if over_http {
                        vec![format!("refused {}", row.code), format!("reject {} {}", row.status, row.reason)]
                    } else {
                        vec![
                            "accept".to_owned(),
                            format!("refused {}", row.code),
                            format!("send error {}", row.code),
                            format!("send bye {code} {} {}", row.reason, row.reconnect),
                            format!("close {code} {}", row.reason),
                        ]
                    };
                    let rules =
                        RouteRules { refuse, close_codes: CloseCodes::from(profile), ..route(&[Carrier::Header]) };
                    let mut scene = Scene::begin(rules, refusal(row.kind), browser);
                    assert_eq!(scene.actions(), expected, "{:?} {refuse:?} browser={browser} {profile:?}", row.kind);
                    if over_http {
                        assert!(scene.connection.is_ended());
                        assert_eq!(scene.deadline(), None);
                    } else {
                        // req E6
                        scene.assert_gone_within_linger();
                    }
                }
            }
        }
    }
}

#[test]
fn the_challenge_names_an_error_only_where_a_credential_was_sent() {
    // req C5
    for row in table() {
        let refusal = refusal(row.kind);
        assert_eq!(refusal.challenge(), row.challenge, "{:?}", row.kind);
        assert_eq!(refusal.challenge().is_some(), row.status == 401 || row.kind == RefusalKind::Forbidden);
        assert!(refusal.reason().len() <= MAX_REASON_BYTES);
    }
}

#[test]
fn a_bad_ticket_is_refused_before_the_101_whatever_is_bad_about_it() {
    // req D6, S3: its buyer's session may be gone, which is no fault of the ticket's own.
    for kind in [
        RefusalKind::InvalidTicket,
        RefusalKind::SpentTicket,
        RefusalKind::TicketNotForHere,
        RefusalKind::Unauthorized,
        RefusalKind::UserNotFound,
        RefusalKind::Expired,
    ] {
        let mut scene = Scene::browser(route(&[Carrier::Ticket]), presented(Carrier::Ticket));
        assert_eq!(scene.actions(), ["verify ticket ticket"]);
        scene.refuse(kind);
        let refusal = refusal(kind);
        let rejected = format!("reject {} {}", refusal.status().as_u16(), refusal.reason());
        assert_eq!(scene.actions(), [format!("refused {}", refusal.code()), rejected], "{kind:?}");
    }
    // That is not about the ticket: a browser learns when to come back.
    let mut scene = Scene::browser(route(&[Carrier::Ticket]), presented(Carrier::Ticket));
    scene.actions();
    scene.refuse(RefusalKind::Unavailable);
    assert_eq!(scene.actions()[3], "send bye 1011 Service unavailable yes");
}

#[test]
fn only_guesses_are_counted_as_guesses() {
    // req K2: a ticket lost to a race, an expiry and our own failing say nothing about who comes.
    let guesses: Vec<_> =
        table().into_iter().map(|row| row.kind).filter(|kind| refusal(*kind).counts_as_guess()).collect();
    let expected =
        [RefusalKind::Unauthorized, RefusalKind::InvalidSession, RefusalKind::InvalidTicket, RefusalKind::UserNotFound];
    assert_eq!(guesses, expected);
}
