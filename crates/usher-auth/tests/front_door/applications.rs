//! The application is asked before a connection is open, and may refuse; and what a transparent connection says, which is nothing.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use usher_auth::carriers::Carrier;
use usher_auth::close_code::{ApplicationClose, CloseCause};
use usher_auth::connection::Action;
use usher_auth::protocol::{Received, Transparent};
use usher_auth::refusal::{Refusal, RefusalKind, Rejection};
use usher_auth::revocation::RevocationCause;
use usher_auth::route::{RefuseMode, RouteRules};

use crate::scene::{AUTH, SECOND, Scene, TIMEOUT, nothing, permit, presented, route};

fn says_no() -> Refusal {
    let rejection = Rejection { retry_after: Some(Duration::from_secs(2)), ..Rejection::BAD_GATEWAY };
    Refusal::new(RefusalKind::Application(rejection), "the backend does not answer")
}

/// Verified by a header, and the application has not answered.
fn asked(rules: RouteRules, browser: bool) -> Scene {
    let mut scene = Scene::undecided(rules, presented(Carrier::Header), browser);
    assert!(matches!(scene.connection.poll_action(), Some(Action::Verify(_))));
    let permit = permit("alice", Carrier::Header, Some(60 * SECOND), scene.now);
    scene.connection.handle_verdict(scene.now, Ok(permit));
    assert!(
        matches!(scene.connection.poll_action(), Some(Action::Admit(permit)) if permit.principal().name == "ALICE")
    );
    assert!(scene.connection.poll_action().is_none() && scene.connection.permit().is_none());
    scene
}

#[test]
fn nothing_is_open_before_the_application_takes_it() {
    let mut scene = asked(route(&[Carrier::Header]), false);
    // Whatever comes meanwhile.
    scene.text(AUTH);
    scene.pass(TIMEOUT);
    scene.connection.handle_revoked(scene.now, RevocationCause::Logout);
    scene.connection.handle_end(scene.now, CloseCause::Draining, None);
    assert!(scene.connection.poll_action().is_none() && !scene.connection.wants_read());
    scene.connection.handle_admission(scene.now, Ok(()));
    assert_eq!(scene.actions(), ["accept", "opened", "send authenticated alice until 60 s"]);
}

#[test]
fn a_credential_that_ends_while_the_application_is_asked_opens_nothing() {
    // req H1
    let mut scene = asked(route(&[Carrier::Header]), false);
    scene.pass(60 * SECOND);
    scene.connection.handle_admission(scene.now, Ok(()));
    assert_eq!(scene.actions(), ["refused session_expired", "reject 401 Session expired"]);
}

#[test]
fn the_application_refuses_before_the_101() {
    let rejected = ["refused bad_gateway", "reject 502 Bad gateway"];
    let closed = [
        "accept",
        "refused bad_gateway",
        "send error bad_gateway",
        "send bye 1014 Bad gateway yes retry_after_ms=2000",
        "close 1014 Bad gateway",
    ];
    for (refuse, browser, expected) in [
        (RefuseMode::Auto, false, &rejected[..]),
        (RefuseMode::Auto, true, &closed[..]),
        (RefuseMode::Http, true, &rejected[..]),
        (RefuseMode::Close, false, &closed[..]),
    ] {
        let mut scene = asked(RouteRules { refuse, ..route(&[Carrier::Header]) }, browser);
        scene.connection.handle_admission(scene.now, Err(says_no()));
        assert_eq!(scene.actions(), expected, "{refuse:?} {browser}");
        assert!(scene.connection.permit().is_none());
    }
}

#[test]
fn the_application_refuses_after_a_first_message_and_may_take_its_time() {
    let begin = || {
        let mut scene = Scene::verifying();
        let permit = permit("alice", Carrier::FirstMessage, None, scene.now);
        scene.connection.handle_verdict(scene.now, Ok(permit));
        assert!(matches!(scene.connection.poll_action(), Some(Action::Admit(_))));
        assert!(scene.connection.is_waiting() && scene.deadline().is_none(), "the credential came in time");
        scene
    };
    let mut scene = begin();
    scene.connection.handle_admission(scene.now, Err(says_no()));
    assert_eq!(scene.actions()[..2], ["refused bad_gateway", "send error bad_gateway"]);
    scene.assert_gone_within_linger();
    let mut scene = begin();
    scene.pass(2 * TIMEOUT);
    assert_eq!(scene.actions(), [""; 0]);
    scene.connection.handle_admission(scene.now, Ok(()));
    assert!(scene.connection.permit().is_some());
    // req E4
    let mut scene = begin();
    scene.text(r#"{"type":"ping"}"#);
    assert_eq!(scene.actions()[0], "refused not_authenticated");
}

#[test]
fn an_anonymous_user_is_the_applications_to_refuse_too() {
    let rules = RouteRules { anonymous: true, ..route(&[Carrier::Header]) };
    let mut scene = Scene::undecided(rules, nothing(), false);
    assert!(matches!(scene.connection.poll_action(), Some(Action::Admit(permit)) if permit.principal().anonymous));
    let refusal = Refusal::new(RefusalKind::Application(Rejection::FORBIDDEN), "members alone");
    assert_eq!((refusal.status(), refusal.counts_as_guess()), (StatusCode::FORBIDDEN, false));
    scene.connection.handle_admission(scene.now, Err(refusal));
    assert_eq!(scene.actions(), ["refused forbidden", "reject 403 Forbidden"]);
}

#[test]
fn the_application_closes_with_a_code_of_its_own() {
    // req A6
    let close = ApplicationClose::new(4123, "the game is over").expect("it may be sent");
    let mut scene = Scene::alice(None);
    scene.connection.handle_application_close(scene.now, &close);
    assert_eq!(scene.actions(), ["send bye 4123 the game is over yes", "close 4123 the game is over"]);
    scene.connection.handle_application_close(scene.now, &close);
    scene.assert_gone_within_linger();
    let mut scene = Scene::waiting();
    scene.connection.handle_application_close(scene.now, &close);
    assert_eq!(scene.actions(), [""; 0], "an application has no connection yet");
}

fn transparent(carriers: &[Carrier]) -> RouteRules {
    RouteRules { protocol: Arc::new(Transparent), ..route(carriers) }
}

#[test]
fn a_transparent_connection_passes_everything_and_says_nothing() {
    let mut scene = Scene::program(transparent(&[Carrier::Header]), presented(Carrier::Header));
    scene.actions();
    scene.admit("alice", Some(60 * SECOND));
    assert_eq!(scene.actions(), ["accept", "opened"]);
    for text in [AUTH, r#"{"type":"ping"}"#, "not JSON", ""] {
        scene.text(text);
        assert!(matches!(&scene.actions()[..], [one] if one.starts_with("deliver")), "{text}");
    }
    scene.message(Received::Binary(&[0, 255]));
    assert_eq!(scene.actions(), ["deliver [0, 255]"]);
    scene.pass(60 * SECOND);
    assert_eq!(scene.actions(), ["close 4002 Session expired"]);
}

#[test]
fn a_transparent_connection_swallows_the_first_message_and_no_other() {
    let mut scene = Scene::program(transparent(&[Carrier::FirstMessage]), nothing());
    assert_eq!(scene.actions(), ["accept"]);
    scene.text(AUTH);
    assert_eq!(scene.actions(), ["verify first_message token"]);
    scene.admit("alice", None);
    assert_eq!(scene.actions(), ["opened"]);
    scene.text(AUTH);
    assert_eq!(scene.actions(), [format!("deliver {AUTH}")]);

    for binary in [true, false] {
        let mut scene = Scene::program(transparent(&[Carrier::FirstMessage]), nothing());
        scene.actions();
        scene.message(if binary { Received::Binary(&[1]) } else { Received::Text("hello") });
        let said = scene.actions();
        assert!(
            matches!(&said[..], [refused, close] if refused.starts_with("refused") && close.starts_with("close")),
            "{said:?}"
        );
    }
}
