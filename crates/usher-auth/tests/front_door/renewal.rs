//! A new credential in band (req H7): the same subject goes on, another ends, a bad one changes nothing.

use usher_auth::carriers::Carrier;
use usher_auth::protocol::ApplicationAnswer;
use usher_auth::refusal::RefusalKind;
use usher_auth::revocation::RevocationCause;
use usher_auth::route::RouteRules;

use crate::scene::{AUTH, SECOND, START, Scene, TICK, just_before, nothing, route};

const EXPIRED: [&str; 2] = ["send bye 4002 Session expired renew", "close 4002 Session expired"];

fn principal(scene: &Scene) -> &str {
    scene.connection.permit().expect("somebody is in").principal().id.as_str()
}

#[test]
fn the_same_subject_goes_on_for_longer() {
    // S10
    let mut scene = Scene::renewing(Some(60 * SECOND));
    assert!(!scene.connection.wants_read() && !scene.connection.is_waiting());
    assert_eq!(scene.deadline(), Some(60 * SECOND), "the old credential holds until it is replaced");
    scene.pass(30 * SECOND);
    scene.admit("alice", Some(60 * SECOND));
    assert_eq!(scene.actions(), ["renewed"]);
    assert!(!scene.connection.wants_read(), "nothing is read under rights that are being looked at again");
    scene.permit_changed();
    assert_eq!(scene.actions(), ["send authenticated alice until 90 s"]);
    assert!(scene.connection.wants_read());
    assert_eq!(scene.deadline(), Some(90 * SECOND));
    scene.pass(just_before(60 * SECOND));
    assert_eq!(scene.actions(), [""; 0]);
    scene.pass(TICK);
    assert_eq!(scene.actions(), EXPIRED);
}

#[test]
fn a_renewal_may_also_shorten() {
    let mut scene = Scene::renewing(None);
    scene.admit("alice", Some(10 * SECOND));
    scene.permit_changed();
    assert_eq!(scene.actions(), ["renewed", "send authenticated alice until 10 s"]);
    scene.pass(10 * SECOND);
    assert_eq!(scene.actions(), EXPIRED);
}

#[test]
fn what_the_application_adds_is_told() {
    let mut scene = Scene::alice(None);
    scene.text(r#"{"type":"auth","token":"a.b.c","id":"r1"}"#);
    scene.admit("alice", None);
    scene
        .connection
        .handle_permit_changed(scene.now, &ApplicationAnswer::member("rooms_lost", vec!["board-1", "board-2"]));
    let answer = r#"send authenticated alice for ever id="r1" rooms_lost=["board-1","board-2"]"#;
    assert_eq!(scene.actions(), ["verify first_message token", "renewed", answer]);
}

#[test]
fn another_subject_ends_it() {
    let mut scene = Scene::renewing(Some(60 * SECOND));
    scene.admit("bob", Some(60 * SECOND));
    assert!(scene.connection.permit().is_none());
    assert_eq!(scene.actions(), ["send bye 4003 Forbidden no", "close 4003 Forbidden"]);
    scene.permit_changed();
    scene.assert_gone_within_linger();
}

#[test]
fn a_bad_credential_is_answered_and_changes_nothing() {
    let mut scene = Scene::alice(Some(60 * SECOND));
    for (kind, error) in [
        (RefusalKind::Unauthorized, "invalid_token"),
        (RefusalKind::Expired, "session_expired"),
        (RefusalKind::Throttled { retry_after: SECOND }, "throttled"),
        (RefusalKind::Unavailable, "unavailable"),
    ] {
        scene.text(r#"{"type":"auth","token":"a.b.c","id":5}"#);
        scene.refuse(kind);
        let expected =
            ["verify first_message token".to_owned(), format!("refused {error}"), format!("send error {error} id=5")];
        assert_eq!(scene.actions(), expected);
        assert_eq!(principal(&scene), "alice");
        assert_eq!(scene.deadline(), Some(60 * SECOND));
        assert!(scene.connection.wants_read());
    }
    scene.pass(60 * SECOND);
    assert_eq!(scene.actions(), EXPIRED);
}

#[test]
fn an_anonymous_visitor_may_become_somebody_once() {
    let rules = RouteRules { anonymous: true, ..route(&[Carrier::FirstMessage]) };
    let mut scene = Scene::program(rules, nothing());
    assert_eq!(scene.actions()[..2], ["accept", "opened"]);
    scene.text(AUTH);
    scene.refuse(RefusalKind::Unauthorized);
    assert_eq!(scene.actions(), ["verify first_message token", "refused invalid_token", "send error invalid_token"]);
    assert!(scene.connection.permit().expect("still in").principal().anonymous);

    scene.text(AUTH);
    scene.admit("alice", Some(60 * SECOND));
    scene.permit_changed();
    let expected = ["verify first_message token", "renewed", "send authenticated alice until 60 s"];
    assert_eq!(scene.actions(), expected);
    assert_eq!(principal(&scene), "alice");
    assert_eq!(scene.deadline(), Some(60 * SECOND));

    scene.text(AUTH);
    scene.admit("bob", None);
    assert_eq!(scene.actions(), ["verify first_message token", "send bye 4003 Forbidden no", "close 4003 Forbidden"]);
}

#[test]
fn a_route_without_first_message_takes_no_credential_in_band() {
    let mut scene = Scene::alice_on(route(&[Carrier::Header]), Some(60 * SECOND));
    scene.text(r#"{"type":"auth","token":"a.b.c","id":1}"#);
    assert_eq!(scene.actions(), ["refused carrier_disabled", "send error carrier_disabled id=1"]);
    assert!(scene.connection.wants_read());
    scene.admit("bob", None);
    assert_eq!(scene.actions(), [""; 0]);
    assert_eq!(principal(&scene), "alice");
}

#[test]
fn no_renewal_goes_past_max_age() {
    let rules = RouteRules { max_age: Some(100 * SECOND), ..route(&[Carrier::Header, Carrier::FirstMessage]) };
    let mut scene = Scene::alice_on(rules, Some(60 * SECOND));
    for (after, lasting, end) in [(30, Some(60 * SECOND), 90), (40, Some(60 * SECOND), 100), (10, None, 100)] {
        scene.pass(after * SECOND);
        scene.text(AUTH);
        scene.admit("alice", lasting);
        scene.permit_changed();
        let answer = format!("send authenticated alice until {end} s");
        assert_eq!(scene.actions(), ["verify first_message token", "renewed", answer.as_str()]);
        assert_eq!(scene.deadline(), Some(u32::try_from(end).expect("small") * SECOND));
    }
    scene.pass(20 * SECOND);
    assert_eq!(scene.actions(), EXPIRED);
}

#[test]
fn a_clock_set_back_before_a_renewal_does_not_move_max_age() {
    // req H2
    let rules = RouteRules { max_age: Some(100 * SECOND), ..route(&[Carrier::Header, Carrier::FirstMessage]) };
    let mut scene = Scene::alice_on(rules, None);
    scene.now.unix = START.unix.minus(3600 * SECOND);
    scene.text(AUTH);
    scene.admit("alice", None);
    scene.permit_changed();
    assert_eq!(scene.deadline(), Some(100 * SECOND));
    scene.actions();
    scene.pass(100 * SECOND);
    assert_eq!(scene.actions(), EXPIRED);
}

#[test]
fn the_old_credential_ends_a_renewal_that_comes_too_late() {
    let mut scene = Scene::renewing(Some(60 * SECOND));
    scene.pass(60 * SECOND);
    assert_eq!(scene.actions(), EXPIRED);
    scene.admit("alice", None);
    assert_eq!(scene.actions(), [""; 0]);

    // The timer is late.
    let mut scene = Scene::renewing(Some(60 * SECOND));
    scene.pass_unnoticed(60 * SECOND);
    scene.admit("alice", None);
    assert_eq!(scene.actions(), EXPIRED);
}

#[test]
fn a_revocation_during_a_renewal_ends_it() {
    // req H4: the session behind the old credential was ended, which a new credential does not mend.
    let revoked = ["discard queued", "send bye 4004 Session ended no", "close 4004 Session ended"];
    let mut scene = Scene::renewing(None);
    scene.connection.handle_revoked(scene.now, RevocationCause::Logout);
    assert_eq!(scene.actions(), revoked);
    scene.admit("alice", None);
    scene.assert_gone_within_linger();

    // It came while the rooms were looked at again.
    let mut scene = Scene::renewing(None);
    scene.admit("alice", None);
    scene.connection.handle_revoked(scene.now, RevocationCause::Logout);
    scene.permit_changed();
    assert_eq!(scene.actions(), revoked);
    scene.assert_gone_within_linger();
}

#[test]
fn nothing_gets_past_a_renewal_that_is_not_done() {
    // A driver that reads while it may not: one verification at a time, and no message under rights that may be gone.
    let ended = ["send bye 1011 Internal error yes", "close 1011 Internal error"];
    for text in [AUTH, r#"{"type":"join","room":"board-1"}"#, "{"] {
        let mut scene = Scene::renewing(None);
        scene.text(text);
        assert_eq!(scene.actions(), ended, "{text}");
        scene.assert_gone_within_linger();

        let mut scene = Scene::renewing(None);
        scene.admit("alice", None);
        scene.text(text);
        assert_eq!(scene.actions(), ["renewed", ended[0], ended[1]], "{text}");
        scene.assert_gone_within_linger();
    }
}

#[test]
fn an_answer_about_rooms_that_nobody_asked_for_says_nothing() {
    let mut scene = Scene::alice(None);
    scene.permit_changed();
    assert_eq!(scene.actions(), [""; 0]);
    let mut scene = Scene::renewing(None);
    scene.permit_changed();
    assert_eq!(scene.actions(), [""; 0]);
    assert!(!scene.connection.wants_read(), "the verdict is still to come");
}
