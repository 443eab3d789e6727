//! The wait for a first message: one deadline that nothing moves, one message, and what each mistake is answered with.

use usher_auth::carriers::Carrier;
use usher_auth::connection::{LINGER, Violation};
use usher_auth::refusal::RefusalKind;
use usher_auth::revocation::RevocationCause;
use usher_auth::route::{FirstMessageRules, RefuseMode, RouteRules};

use crate::scene::{AUTH, SECOND, START, Scene, TICK, TIMEOUT, just_before, nothing, route};

const TIMED_OUT: [&str; 4] = [
    "refused authentication_timeout",
    "send error authentication_timeout",
    "send bye 4008 Authentication timeout yes",
    "close 4008 Authentication timeout",
];

fn closed(error: &str, code: u16, reason: &str) -> [String; 4] {
    [
        format!("refused {error}"),
        format!("send error {error}"),
        format!("send bye {code} {reason} no"),
        format!("close {code} {reason}"),
    ]
}

#[test]
fn an_auth_message_that_holds_opens() {
    // S4
    let mut scene = Scene::waiting();
    scene.pass(SECOND);
    scene.text(AUTH);
    assert_eq!(scene.actions(), ["verify first_message token"]);
    assert!(scene.connection.is_waiting() && scene.connection.permit().is_none());
    assert!(!scene.connection.wants_read(), "what follows stays where it is until it is known who sent it");
    scene.admit("alice", Some(60 * SECOND));
    assert_eq!(scene.actions(), ["opened", "send authenticated alice until 61 s"]);
    assert!(scene.connection.wants_read() && !scene.connection.is_waiting());
    assert_eq!(scene.connection.permit().and_then(usher_auth::Permit::carrier), Some(Carrier::FirstMessage));
}

#[test]
fn the_id_of_the_auth_message_comes_back() {
    for id in ["7", "\"q-1\""] {
        let mut scene = Scene::waiting();
        scene.text(&format!(r#"{{"type":"auth","token":"a.b.c","id":{id}}}"#));
        assert_eq!(scene.actions(), ["verify first_message token"]);
        scene.admit("alice", None);
        assert_eq!(scene.actions(), ["opened".to_owned(), format!("send authenticated alice for ever id={id}")]);
    }
}

#[test]
fn each_kind_of_credential_may_come_in_a_first_message() {
    let secret = |prefix: &str| format!("{prefix}{}", "A".repeat(43));
    for (token, form) in [
        ("a.b.c".to_owned(), "token"),
        (secret("usk_"), "api key"),
        (format!("alice:{}", secret("usk_")), "api key"),
        (secret("utk_"), "ticket"),
        (String::new(), "unrecognised"),
        ("utk_short".to_owned(), "unrecognised"),
    ] {
        let mut scene = Scene::waiting();
        scene.text(&format!(r#"{{"type":"auth","token":"{token}"}}"#));
        assert_eq!(scene.actions(), [format!("verify first_message {form}")]);
    }
}

#[test]
fn a_credential_that_does_not_hold_closes() {
    // S4
    for (kind, error, code, reason, reconnect) in [
        (RefusalKind::Unauthorized, "invalid_token", 4001, "Unauthorized", "no"),
        (RefusalKind::Expired, "session_expired", 4002, "Session expired", "renew"),
        (RefusalKind::UserNotFound, "user_not_found", 4001, "User not found", "no"),
        (RefusalKind::SpentTicket, "invalid_ticket", 4001, "Invalid ticket", "no"),
        (RefusalKind::Unavailable, "unavailable", 1011, "Service unavailable", "yes"),
    ] {
        // After the 101 there is no HTTP answer left, whatever the route says.
        for refuse in [RefuseMode::Auto, RefuseMode::Http, RefuseMode::Close] {
            let mut scene = Scene::program(RouteRules { refuse, ..route(&[Carrier::FirstMessage]) }, nothing());
            scene.text(AUTH);
            assert_eq!(scene.actions(), ["accept", "verify first_message token"]);
            scene.refuse(kind);
            let expected = [
                format!("refused {error}"),
                format!("send error {error}"),
                format!("send bye {code} {reason} {reconnect}"),
                format!("close {code} {reason}"),
            ];
            assert_eq!(scene.actions(), expected);
            assert!(scene.connection.permit().is_none());
            scene.assert_gone_within_linger();
        }
    }
}

#[test]
fn anything_else_first_closes() {
    // req E5, S4
    for text in [
        "",
        "hello",
        "{",
        "null",
        "[]",
        r#""auth""#,
        r#"{"type":"ping"}"#,
        r#"{"type":"join","room":"board-1"}"#,
        r#"{"type":"authenticated","user":{"id":"user-alice","name":"Alice"}}"#,
        r#"{"type":"Auth","token":"a.b.c"}"#,
        r#"{"TYPE":"auth","token":"a.b.c"}"#,
        r#"[{"type":"auth","token":"a.b.c"}]"#,
        r#"{"type":"auth","token":"a.b.c"}{"type":"auth","token":"a.b.c"}"#,
        r#"{"token":"a.b.c"}"#,
    ] {
        let mut scene = Scene::waiting();
        scene.text(text);
        assert_eq!(scene.actions(), closed("not_authenticated", 4001, "Unauthorized"), "{text}");
        scene.assert_gone_within_linger();
    }
}

#[test]
fn a_malformed_auth_message_closes() {
    // req E5, O2
    let long_id = format!(r#"{{"type":"auth","token":"a.b.c","id":"{}"}}"#, "x".repeat(129));
    for text in [
        r#"{"type":"auth"}"#,
        r#"{"type":"auth","token":7}"#,
        r#"{"type":"auth","token":null}"#,
        r#"{"type":"auth","token":["a.b.c"]}"#,
        r#"{"type":"auth","token":"x","token":"y"}"#,
        r#"{"type":"auth","token":"x","role":"admin"}"#,
        r#"{"type":"auth","token":"x","id":{}}"#,
        &long_id,
    ] {
        let mut scene = Scene::waiting();
        scene.text(text);
        assert_eq!(scene.actions(), closed("malformed_credential", 4001, "Malformed credential"), "{text}");
        scene.assert_gone_within_linger();
    }
}

#[test]
fn the_peer_breaking_the_protocol_closes() {
    // req E2, H10
    for begin in [Scene::waiting, Scene::verifying] {
        let mut scene = begin();
        scene.connection.handle_violation(scene.now, Violation::TooBig);
        assert_eq!(scene.actions(), closed("message_too_big", 1009, "Message too big"));
        scene.assert_gone_within_linger();

        let mut scene = begin();
        scene.connection.handle_violation(scene.now, Violation::Binary);
        assert_eq!(scene.actions(), closed("unsupported_data", 1003, "Text frames only"));
        scene.assert_gone_within_linger();

        let mut scene = begin();
        scene.connection.handle_violation(scene.now, Violation::InvalidUtf8);
        assert_eq!(scene.actions(), ["send bye 1007 Text must be UTF-8 no", "close 1007 Text must be UTF-8"]);
        scene.assert_gone_within_linger();

        let mut scene = begin();
        scene.connection.handle_violation(scene.now, Violation::Protocol);
        assert_eq!(scene.actions(), ["send bye 1002 Protocol error no", "close 1002 Protocol error"]);
        scene.assert_gone_within_linger();
    }
}

#[test]
fn silence_closes_at_the_deadline() {
    // req E1, E6
    let mut scene = Scene::waiting();
    scene.pass(just_before(TIMEOUT));
    assert_eq!(scene.actions(), [""; 0]);
    assert!(scene.connection.is_waiting());
    scene.pass(TICK);
    assert_eq!(scene.actions(), TIMED_OUT);
    assert_eq!(scene.deadline(), Some(TIMEOUT + LINGER));
    scene.assert_gone_within_linger();
}

#[test]
fn the_route_sets_the_wait_and_the_size() {
    let first_message = FirstMessageRules { timeout: 9 * SECOND, max_bytes: 99 };
    let scene = Scene::program(RouteRules { first_message, ..route(&[Carrier::FirstMessage]) }, nothing());
    assert_eq!(scene.deadline(), Some(9 * SECOND));
    assert_eq!(scene.connection.input_limits().message, 99);
}

#[test]
fn nothing_moves_the_deadline() {
    // req E1: not being asked often, not an auth message that is still being verified, not a revocation of somebody else.
    let mut scene = Scene::waiting();
    for _ in 0..4 {
        scene.pass(SECOND);
        scene.connection.handle_revoked(scene.now, RevocationCause::Logout);
        scene.permit_changed();
        assert_eq!(scene.deadline(), Some(TIMEOUT));
    }
    scene.text(AUTH);
    assert_eq!(scene.actions(), ["verify first_message token"]);
    assert_eq!(scene.deadline(), Some(TIMEOUT));
    scene.pass(just_before(SECOND));
    assert_eq!(scene.actions(), [""; 0]);
    scene.pass(TICK);
    assert_eq!(scene.actions(), TIMED_OUT);
    scene.assert_gone_within_linger();
}

#[test]
fn what_comes_after_the_deadline_comes_too_late() {
    // req E1: also where the timer is late and the machine has not been told yet.
    let mut scene = Scene::verifying();
    scene.pass(TIMEOUT);
    assert_eq!(scene.actions(), TIMED_OUT);
    scene.admit("alice", None);
    assert_eq!(scene.actions(), [""; 0]);
    assert!(scene.connection.permit().is_none());

    let mut scene = Scene::verifying();
    scene.pass_unnoticed(TIMEOUT);
    scene.admit("alice", None);
    assert_eq!(scene.actions(), TIMED_OUT);
    assert!(scene.connection.permit().is_none());

    let mut scene = Scene::waiting();
    scene.pass_unnoticed(TIMEOUT);
    scene.text(AUTH);
    assert_eq!(scene.actions(), TIMED_OUT);

    let mut scene = Scene::verifying();
    scene.pass_unnoticed(just_before(TIMEOUT));
    scene.admit("alice", None);
    assert_eq!(scene.actions(), ["opened", "send authenticated alice for ever"]);
}

#[test]
fn a_clock_step_does_not_move_the_deadline() {
    // req H2
    for step in [-3600, 3600] {
        let mut scene = Scene::waiting();
        scene.now.unix = usher_auth::UnixTime::from_seconds(START.unix.as_seconds() + step);
        scene.pass(just_before(TIMEOUT));
        assert_eq!(scene.actions(), [""; 0]);
        scene.pass(TICK);
        assert_eq!(scene.actions(), TIMED_OUT);
    }
}

#[test]
fn a_message_before_the_verdict_is_not_let_through() {
    // req E4: a driver that reads while it may not.
    for text in [AUTH, r#"{"type":"join","room":"board-1"}"#] {
        let mut scene = Scene::verifying();
        scene.text(text);
        assert_eq!(scene.actions(), closed("not_authenticated", 4001, "Unauthorized"));
        scene.admit("alice", None);
        assert_eq!(scene.actions(), [""; 0]);
        scene.assert_gone_within_linger();
    }
}

#[test]
fn a_revocation_while_verifying_is_the_verdicts_business() {
    // req H5: nobody is in yet, so there is nothing to end; who registers checks once more.
    let mut scene = Scene::verifying();
    scene.connection.handle_revoked(scene.now, RevocationCause::Logout);
    assert_eq!(scene.actions(), [""; 0]);
    scene.refuse(RefusalKind::Unauthorized);
    assert_eq!(scene.actions(), closed("invalid_token", 4001, "Unauthorized"));

    let mut scene = Scene::verifying();
    scene.admit("alice", None);
    // It fell between the check and the registration: nothing of the welcome leaves.
    scene.connection.handle_revoked(scene.now, RevocationCause::Logout);
    assert_eq!(scene.actions(), ["discard queued", "send bye 4004 Session ended no", "close 4004 Session ended"]);
    scene.assert_gone_within_linger();
}
