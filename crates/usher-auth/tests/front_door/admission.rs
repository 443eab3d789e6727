//! From the upgrade request to an open socket, to the wait for a first message, or to a refusal.

use std::time::Duration;

use usher_auth::carriers::Carrier;
use usher_auth::refusal::RefusalKind;
use usher_auth::revocation::RevocationCause;
use usher_auth::route::{RefuseMode, RouteRules};

use crate::scene::{SECOND, START, Scene, TICK, TIMEOUT, just_before, nothing, presented, refusal, route};

/// Carriers of an upgrade, with what a scene shows of their credential.
const AT_THE_UPGRADE: [(Carrier, &str); 5] = [
    (Carrier::Cookie, "session"),
    (Carrier::Query, "token"),
    (Carrier::Ticket, "ticket"),
    (Carrier::Header, "token"),
    (Carrier::Subprotocol, "token"),
];
/// What a cookie is refused with through no fault of who sends it.
const STALE: [RefusalKind; 4] =
    [RefusalKind::InvalidSession, RefusalKind::Expired, RefusalKind::UserNotFound, RefusalKind::Unauthorized];
const ANONYMOUS: &str = "send authenticated anonymous:CQkJCQkJCQkJCQkJCQkJCQ for ever";

#[test]
fn a_verified_credential_opens_whatever_carried_it() {
    for (carrier, form) in AT_THE_UPGRADE {
        let mut scene = Scene::program(route(&[carrier]), presented(carrier));
        assert_eq!(scene.actions(), [format!("verify {carrier} {form}")]);
        assert!(
            scene.connection.permit().is_none() && !scene.connection.wants_read() && !scene.connection.is_waiting()
        );
        assert_eq!(scene.deadline(), None);

        scene.admit("alice", Some(60 * SECOND));
        assert_eq!(scene.actions(), ["accept", "opened", "send authenticated alice until 60 s"]);
        assert!(scene.connection.wants_read());
        assert_eq!(scene.connection.permit().expect("she is in").principal().id.as_str(), "alice");
        assert_eq!(scene.connection.input_limits().message, 64 * 1024);
        assert_eq!(scene.deadline(), Some(60 * SECOND));
    }
}

#[test]
fn nothing_presented_waits_where_a_first_message_may_come() {
    let rules = route(&[Carrier::Cookie, Carrier::FirstMessage]);
    let mut scene = Scene::browser(rules, nothing());
    assert_eq!(scene.actions(), ["accept"]);
    assert!(scene.connection.is_waiting() && scene.connection.wants_read() && scene.connection.permit().is_none());
    assert_eq!(scene.deadline(), Some(TIMEOUT));
    assert_eq!(scene.connection.input_limits().message, 8 * 1024);
}

#[test]
fn nothing_presented_is_anonymous_where_the_route_says_so() {
    // S2
    for carriers in [&[][..], &[Carrier::Cookie, Carrier::FirstMessage]] {
        let mut scene = Scene::browser(RouteRules { anonymous: true, ..route(carriers) }, nothing());
        assert_eq!(scene.actions(), ["accept", "opened", ANONYMOUS]);
        let permit = scene.connection.permit().expect("an anonymous visitor is in");
        assert!(permit.principal().anonymous && permit.principal().roles.is_empty());
        assert_eq!(permit.carrier(), None);
        assert_eq!(scene.deadline(), None);
    }
}

#[test]
fn nothing_presented_is_refused_elsewhere() {
    let mut scene = Scene::program(route(&[Carrier::Cookie, Carrier::Header]), nothing());
    assert_eq!(scene.actions(), ["refused missing_credential", "reject 401 Unauthorized"]);
    assert!(scene.connection.is_ended());
    assert_eq!(scene.deadline(), None);

    let mut scene = Scene::browser(route(&[Carrier::Cookie, Carrier::Header]), nothing());
    let expected = [
        "accept",
        "refused missing_credential",
        "send error missing_credential",
        "send bye 4001 Unauthorized no",
        "close 4001 Unauthorized",
    ];
    assert_eq!(scene.actions(), expected);
    scene.assert_gone_within_linger();
}

#[test]
fn a_stale_cookie_is_like_none() {
    for kind in STALE {
        let mut scene = Scene::browser(route(&[Carrier::Cookie, Carrier::FirstMessage]), presented(Carrier::Cookie));
        assert_eq!(scene.actions(), ["verify cookie session"]);
        // The wait begins with the 101 and not with the request.
        scene.pass_unnoticed(3 * SECOND);
        scene.refuse(kind);
        assert_eq!(scene.actions(), ["accept"], "{kind:?}");
        assert!(scene.connection.is_waiting());
        assert_eq!(scene.deadline(), Some(3 * SECOND + TIMEOUT));

        let rules = RouteRules { anonymous: true, ..route(&[Carrier::Cookie]) };
        let mut scene = Scene::browser(rules, presented(Carrier::Cookie));
        assert_eq!(scene.actions(), ["verify cookie session"]);
        scene.refuse(kind);
        assert_eq!(scene.actions(), ["accept", "opened", ANONYMOUS], "{kind:?}");
    }
}

#[test]
fn a_stale_cookie_says_why_where_nothing_else_is_taken() {
    // S5
    for (kind, reason, code, reconnect) in [
        (RefusalKind::InvalidSession, "Invalid session", 4001, "no"),
        (RefusalKind::UserNotFound, "User not found", 4001, "no"),
        (RefusalKind::Unauthorized, "Unauthorized", 4001, "no"),
        (RefusalKind::Expired, "Session expired", 4002, "renew"),
    ] {
        let rules = RouteRules { refuse: RefuseMode::Close, ..route(&[Carrier::Cookie]) };
        let mut scene = Scene::browser(rules, presented(Carrier::Cookie));
        assert_eq!(scene.actions(), ["verify cookie session"]);
        scene.refuse(kind);
        let expected = [
            "accept".to_owned(),
            format!("refused {}", refusal(kind).code()),
            format!("send error {}", refusal(kind).code()),
            format!("send bye {code} {reason} {reconnect}"),
            format!("close {code} {reason}"),
        ];
        assert_eq!(scene.actions(), expected);
        scene.assert_gone_within_linger();
    }
}

#[test]
fn a_cookie_that_could_not_be_judged_is_not_taken_for_none() {
    // req D9: what is needed to decide is out of reach, so nobody is let in, not even as anonymous.
    let retry_after = Duration::from_secs(7);
    for kind in [RefusalKind::Unavailable, RefusalKind::Throttled { retry_after }, RefusalKind::Forbidden] {
        let rules = RouteRules { anonymous: true, ..route(&[Carrier::Cookie, Carrier::FirstMessage]) };
        let mut scene = Scene::program(rules, presented(Carrier::Cookie));
        assert_eq!(scene.actions(), ["verify cookie session"]);
        scene.refuse(kind);
        let refusal = refusal(kind);
        let rejected = format!("reject {} {}", refusal.status().as_u16(), refusal.reason());
        assert_eq!(scene.actions(), [format!("refused {}", refusal.code()), rejected]);
        assert!(scene.connection.is_ended());
    }
}

#[test]
fn a_bad_explicit_credential_gets_no_second_chance() {
    // req E5: neither anonymous nor a first message mends what was presented on purpose.
    for (carrier, form) in AT_THE_UPGRADE.into_iter().filter(|(carrier, _)| *carrier != Carrier::Cookie) {
        for kind in STALE {
            let rules = RouteRules { anonymous: true, ..route(&[carrier, Carrier::Cookie, Carrier::FirstMessage]) };
            let mut scene = Scene::program(rules, presented(carrier));
            assert_eq!(scene.actions(), [format!("verify {carrier} {form}")]);
            scene.refuse(kind);
            let refusal = refusal(kind);
            let rejected = format!("reject {} {}", refusal.status().as_u16(), refusal.reason());
            assert_eq!(scene.actions(), [format!("refused {}", refusal.code()), rejected]);
        }
    }
}

#[test]
fn a_request_that_presents_wrongly_gets_no_second_chance() {
    for kind in [
        RefusalKind::MultipleCredentials,
        RefusalKind::MalformedCredential,
        RefusalKind::CarrierDisabled(Carrier::Query),
    ] {
        let rules = RouteRules { anonymous: true, ..route(&[Carrier::Cookie, Carrier::FirstMessage]) };
        let mut scene = Scene::program(rules, refusal(kind));
        let refusal = refusal(kind);
        let rejected = format!("reject {} {}", refusal.status().as_u16(), refusal.reason());
        assert_eq!(scene.actions(), [format!("refused {}", refusal.code()), rejected]);
        assert!(scene.connection.is_ended());
    }
}

#[test]
fn a_verdict_that_nobody_asked_for_lets_nobody_in() {
    // req E5
    let mut scene = Scene::waiting();
    scene.admit("mallory", None);
    assert_eq!(scene.actions(), [""; 0]);
    assert!(scene.connection.is_waiting());

    let mut scene = Scene::program(route(&[Carrier::Header]), nothing());
    scene.actions();
    scene.admit("mallory", None);
    assert_eq!(scene.actions(), [""; 0]);
    assert!(scene.connection.permit().is_none());

    let mut scene = Scene::alice(None);
    scene.admit("mallory", None);
    scene.refuse(RefusalKind::Unauthorized);
    assert_eq!(scene.actions(), [""; 0]);
    assert_eq!(scene.connection.permit().expect("still alice").principal().id.as_str(), "alice");
}

#[test]
fn nothing_but_the_verdict_moves_a_connection_that_is_being_decided() {
    let mut scene = Scene::program(route(&[Carrier::Header, Carrier::FirstMessage]), presented(Carrier::Header));
    assert_eq!(scene.actions(), ["verify header token"]);
    scene.text(crate::scene::AUTH);
    scene.connection.handle_revoked(scene.now, RevocationCause::Logout);
    scene.permit_changed();
    scene.pass(1000 * SECOND);
    assert_eq!(scene.actions(), [""; 0]);
    assert!(scene.connection.permit().is_none() && !scene.connection.is_ended());
    scene.connection.handle_peer_closed();
    assert_eq!(scene.actions(), ["release"]);
    scene.admit("alice", None);
    assert_eq!(scene.actions(), [""; 0]);
    assert!(scene.connection.permit().is_none());
}

#[test]
fn max_age_caps_every_way_in() {
    let capped = |carriers: &[Carrier]| RouteRules { max_age: Some(60 * SECOND), ..route(carriers) };
    // Alice's credential lasts longer, or has no end.
    for lasting in [None, Some(61 * SECOND)] {
        let mut scene = Scene::program(capped(&[Carrier::Header]), presented(Carrier::Header));
        scene.actions();
        scene.admit("alice", lasting);
        assert_eq!(scene.actions(), ["accept", "opened", "send authenticated alice until 60 s"]);
        assert_eq!(scene.deadline(), Some(60 * SECOND));
    }
    // It ends sooner.
    let mut scene = Scene::program(capped(&[Carrier::Header]), presented(Carrier::Header));
    scene.actions();
    scene.admit("alice", Some(59 * SECOND));
    assert_eq!(scene.actions(), ["accept", "opened", "send authenticated alice until 59 s"]);
    // A visitor has no credential.
    let mut scene = Scene::program(RouteRules { anonymous: true, ..capped(&[]) }, nothing());
    assert_eq!(scene.actions()[2], ANONYMOUS.replace("for ever", "until 60 s"));
    scene.pass(just_before(60 * SECOND));
    assert_eq!(scene.actions(), [""; 0]);
    scene.pass(TICK);
    assert_eq!(scene.actions(), ["send bye 4002 Session expired renew", "close 4002 Session expired"]);
    // The age is counted from the moment somebody is in, not from the request.
    let mut scene = Scene::program(capped(&[Carrier::FirstMessage]), nothing());
    scene.pass(2 * SECOND);
    scene.text(crate::scene::AUTH);
    scene.admit("alice", None);
    assert_eq!(scene.connection.poll_timeout(), Some(START.monotonic + 62 * SECOND));
}
