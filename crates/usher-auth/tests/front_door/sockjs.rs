//! The machine over SockJS: OctoPrint's several attempts and its afterlife, and what a wrapping mistake comes to.

use std::sync::Arc;
use std::time::Duration;

use usher_auth::carriers::Carrier;
use usher_auth::protocol::{OctoPrint, Received, UsherOverSockJs};
use usher_auth::refusal::RefusalKind;
use usher_auth::revocation::RevocationCause;
use usher_auth::route::{FirstMessageRules, RouteRules};
use usher_auth::wire::Mistake;

use crate::scene::{SECOND, Scene, TICK, just_before, nothing, presented, route};

const OCTOPRINT_AUTH: &str = r#"{"auth":"alice:key"}"#;
/// The wait of the route in these tests.
const WAIT: Duration = Duration::from_secs(30);

fn rules(lenient: bool, octoprint: bool) -> RouteRules {
    RouteRules {
        protocol: if octoprint { Arc::new(OctoPrint { lenient }) } else { Arc::new(UsherOverSockJs { lenient }) },
        first_message: FirstMessageRules { timeout: WAIT, ..FirstMessageRules::default() },
        ..route(&[Carrier::Sockjs, Carrier::Header])
    }
}

fn waiting(lenient: bool, octoprint: bool) -> Scene {
    let mut scene = Scene::program(rules(lenient, octoprint), nothing());
    let expected: &[&str] = if octoprint { &["accept", "send connected"] } else { &["accept"] };
    assert_eq!(scene.actions(), expected);
    assert!(scene.connection.is_waiting());
    scene
}

/// Alice, let in by a message.
fn alice() -> Scene {
    let mut scene = waiting(true, true);
    scene.text(OCTOPRINT_AUTH);
    assert_eq!(scene.actions(), ["verify sockjs a user's token"]);
    scene.admit("alice", Some(60 * SECOND));
    assert_eq!(scene.actions(), ["opened", "send authenticated alice until 60 s", "send history"]);
    scene
}

#[test]
fn an_octoprint_client_has_three_attempts_within_one_wait() {
    let mut scene = waiting(true, true);
    for attempt in 1..=3 {
        scene.pass(SECOND);
        scene.text(OCTOPRINT_AUTH);
        assert_eq!(scene.actions(), ["verify sockjs a user's token"]);
        scene.refuse(RefusalKind::Unauthorized);
        let mut expected = vec!["refused invalid_token", "send error invalid_token", "send reauthRequired stale"];
        if attempt == 3 {
            expected.extend(["send bye 4001 Unauthorized no", "close 4001 Unauthorized"]);
        } else {
            assert_eq!(scene.deadline(), Some(WAIT), "nothing extends the wait (req E1)");
        }
        assert_eq!(scene.actions(), expected);
    }
    scene.assert_gone_within_linger();
}

#[test]
fn what_is_kept_for_later_neither_ends_the_wait_nor_moves_it() {
    let mut scene = waiting(true, true);
    for _ in 0..10 {
        scene.pass(SECOND);
        scene.text(r#"{"throttle":2}"#);
        scene.text(r#"{"subscribe":{"state":true}}"#);
    }
    assert_eq!(scene.actions(), [""; 0]);
    assert_eq!(scene.deadline(), Some(WAIT));
    scene.pass(20 * SECOND);
    assert_eq!(
        scene.actions(),
        [
            "refused authentication_timeout",
            "send error authentication_timeout",
            "send bye 4001 Unauthorized no",
            "close 4001 Unauthorized"
        ]
    );
}

#[test]
fn haste_and_our_own_failing_are_not_cured_by_another_key() {
    for (kind, code) in [(RefusalKind::Throttled { retry_after: SECOND }, 4029), (RefusalKind::Unavailable, 1011)] {
        let mut scene = waiting(true, true);
        scene.text(OCTOPRINT_AUTH);
        scene.actions();
        scene.refuse(kind);
        let actions = scene.actions();
        assert!(actions.last().expect("a close").starts_with(&format!("close {code}")), "{actions:?}");
    }
}

#[test]
fn who_is_revoked_is_sent_away_and_may_come_back_until_the_wait_is_over() {
    for (cause, reason) in [
        (RevocationCause::Logout, "logout"),
        (RevocationCause::LogoutEverywhere, "logout"),
        (RevocationCause::UserDeleted, "removed"),
        (RevocationCause::UserDisabled, "removed"),
        (RevocationCause::PasswordChanged, "modified"),
    ] {
        let mut scene = alice();
        scene.pass(10 * SECOND);
        scene.connection.handle_revoked(scene.now, cause);
        let away = format!("send reauthRequired {reason}");
        assert_eq!(scene.actions(), ["discard queued", "deauthenticate", &away]);
        assert!(scene.connection.is_waiting() && scene.connection.permit().is_none());
        assert_eq!(scene.deadline(), Some(40 * SECOND));

        scene.text(OCTOPRINT_AUTH);
        assert_eq!(scene.actions(), ["verify sockjs a user's token"]);
        scene.admit("bob", None);
        assert_eq!(scene.actions(), ["opened", "send authenticated bob for ever", "send history"]);
    }
    let mut scene = alice();
    scene.connection.handle_revoked(scene.now, RevocationCause::Logout);
    scene.actions();
    scene.pass(just_before(WAIT));
    assert_eq!(scene.actions(), [""; 0]);
    scene.pass(TICK);
    assert_eq!(scene.actions(), ["send bye 4004 Session ended no", "close 4004 Session ended"]);
}

#[test]
fn who_expires_is_stale_and_then_expired() {
    let mut scene = alice();
    scene.pass(60 * SECOND);
    assert_eq!(scene.actions(), ["deauthenticate", "send reauthRequired stale"]);
    scene.pass(WAIT);
    assert_eq!(scene.actions(), ["send bye 4002 Session expired renew", "close 4002 Session expired"]);
}

#[test]
fn a_verdict_that_was_under_way_when_its_asker_was_sent_away_lets_nobody_in() {
    let mut scene = alice();
    scene.text(OCTOPRINT_AUTH);
    assert_eq!(scene.actions(), ["verify sockjs a user's token"]);
    scene.connection.handle_revoked(scene.now, RevocationCause::Logout);
    scene.actions();
    scene.admit("alice", None);
    assert_eq!(scene.actions(), [""; 0]);
    assert!(scene.connection.permit().is_none());
}

#[test]
fn where_no_message_lets_in_who_is_sent_away_is_closed() {
    let rules = RouteRules { carriers: [Carrier::Header].into_iter().collect(), ..rules(true, true) };
    let mut scene = Scene::program(rules, presented(Carrier::Header));
    scene.actions();
    scene.admit("alice", None);
    assert_eq!(
        scene.actions(),
        ["accept", "send connected", "opened", "send authenticated alice for ever", "send history"]
    );
    scene.connection.handle_revoked(scene.now, RevocationCause::Logout);
    assert_eq!(
        scene.actions(),
        [
            "discard queued",
            "deauthenticate",
            "send reauthRequired logout",
            "send bye 4004 Session ended no",
            "close 4004 Session ended"
        ]
    );
}

#[test]
fn a_bare_object_is_taken_and_noticed_once_where_the_route_is_lenient() {
    let mut scene = waiting(true, false);
    scene.message(Received::Misframed(Mistake::NotWrapped, OCTOPRINT_AUTH));
    assert_eq!(
        scene.actions(),
        ["mistaken not_wrapped {auth: a text with a colon}", "send notice not_wrapped", "verify sockjs a user's token"]
    );
    scene.admit("alice", None);
    scene.actions();
    scene.message(Received::Misframed(Mistake::NotWrapped, r#"{"type":"ping"}"#));
    assert_eq!(scene.actions(), ["send pong"]);
}

#[test]
fn a_wrapping_mistake_is_the_end_of_a_wait_and_an_answer_to_who_is_in() {
    for mistake in [Mistake::NotJson, Mistake::NotWrapped, Mistake::ItemsNotStrings] {
        let mut scene = waiting(false, false);
        scene.message(Received::Misframed(mistake, "[7]"));
        let (code, reason) = (mistake.code(), mistake.reason());
        assert_eq!(
            scene.actions(),
            [
                format!("refused {code}"),
                format!("send error {code}"),
                format!("send bye 1007 {reason} no"),
                format!("close 1007 {reason}")
            ]
        );
    }
    let mut scene = waiting(false, false);
    scene.text(OCTOPRINT_AUTH);
    scene.actions();
    scene.admit("alice", None);
    scene.actions();
    scene.message(Received::Misframed(Mistake::ItemsNotStrings, "[7]"));
    assert_eq!(scene.actions(), ["refused items_not_strings", "send error items_not_strings"]);
    assert!(scene.connection.permit().is_some());
}

#[test]
fn more_may_be_sent_where_there_are_more_attempts() {
    // req E2
    assert_eq!(waiting(true, false).connection.input_limits().total, Some(8 * 1024));
    assert_eq!(waiting(true, true).connection.input_limits().total, Some(3 * 8 * 1024));
}
