//! An authenticated connection: messages, mistakes that are answered, and the end of the credential.

use usher_auth::carriers::Carrier;
use usher_auth::connection::Recipient;
use usher_auth::protocol::Received;
use usher_auth::revocation::RevocationCause;
use usher_auth::route::RouteRules;
use usher_auth::wire::{FrameId, InvalidFrame};
use usher_auth::{Now, UnixTime};

use crate::scene::{AUTH, SECOND, START, Scene, TICK, just_before, permit, presented, route};

const EXPIRED: [&str; 2] = ["send bye 4002 Session expired renew", "close 4002 Session expired"];

#[test]
fn messages_are_delivered_in_order() {
    let mut scene = Scene::alice(None);
    for text in [
        r#"{"type":"join","room":"board-1","id":1}"#,
        r#"{"type":"typing","boardId":"board-1"}"#,
        r#"{"type":"publish","room":"board-1","data":{"text":"hi"}}"#,
        r#"{"type":"ping","id":"p"}"#,
        r#"{"type":"leave","room":"board-1"}"#,
    ] {
        scene.text(text);
    }
    let expected = [
        "deliver join board-1",
        "deliver typing board-1",
        r#"deliver publish board-1 {"text":"hi"}"#,
        r#"send pong id="p""#,
        "deliver leave board-1",
    ];
    assert_eq!(scene.actions(), expected);
}

#[test]
fn a_mistake_is_answered_and_the_connection_goes_on() {
    // S7
    let mut scene = Scene::alice(None);
    for (text, answer) in [
        (r#"{"type":"auth"}"#, "send error invalid_field"),
        (r#"{"type":"auth","token":"a.b.c","id":7,"more":1}"#, "send error invalid_field id=7"),
        (r#"{"type":"ping","id":{}}"#, "send error invalid_field"),
        (r#"{"type":"ping""#, "send error invalid_json"),
        (r#"{"type":"ping"}"#, "send pong"),
    ] {
        scene.text(text);
        assert_eq!(scene.actions(), [answer], "{text}");
        assert!(scene.connection.permit().is_some() && scene.connection.wants_read());
    }
}

#[test]
fn what_is_not_the_protocols_is_the_applications_right_or_wrong() {
    // S7: the application finds the mistake, and the connection says so in its protocol.
    let mut scene = Scene::alice(None);
    for text in ["{", "7", r#"{"type":"fly","id":3}"#, r#"{"type":"join","room":7}"#] {
        scene.text(text);
        assert!(matches!(&scene.actions()[..], [one] if one.starts_with("deliver ")), "{text}");
        let id = Some(FrameId::Text("q".to_owned()));
        let invalid = InvalidFrame { id, ..InvalidFrame::new("unknown message type", "unknown_type") };
        scene.connection.handle_invalid(scene.now, &invalid);
        assert_eq!(scene.actions(), [r#"send error unknown_type id="q""#]);
        assert!(scene.connection.permit().is_some() && scene.connection.wants_read());
    }
}

#[test]
fn the_end_of_the_credential_closes_at_its_second() {
    // req H1, H10, S5
    let mut scene = Scene::alice(Some(60 * SECOND));
    assert_eq!(scene.deadline(), Some(60 * SECOND));
    scene.pass(just_before(60 * SECOND));
    assert_eq!(scene.actions(), [""; 0]);
    assert!(scene.connection.permit().is_some());
    scene.pass(TICK);
    assert!(scene.connection.permit().is_none(), "nothing goes on under a permit that has ended");
    assert_eq!(scene.actions(), EXPIRED);
    scene.assert_gone_within_linger();
}

#[test]
fn a_message_after_the_end_is_not_delivered() {
    // req H1: also where the timer is late.
    let mut scene = Scene::alice(Some(60 * SECOND));
    scene.pass_unnoticed(60 * SECOND);
    scene.text(r#"{"type":"join","room":"board-1"}"#);
    assert_eq!(scene.actions(), EXPIRED);
}

#[test]
fn traffic_does_not_extend_a_credential() {
    let mut scene = Scene::alice(Some(60 * SECOND));
    for _ in 0..59 {
        scene.pass(SECOND);
        scene.text(r#"{"type":"ping"}"#);
        assert_eq!(scene.actions(), ["send pong"]);
        assert_eq!(scene.deadline(), Some(60 * SECOND));
    }
    scene.pass(SECOND);
    assert_eq!(scene.actions(), EXPIRED);
}

#[test]
fn a_credential_that_ends_in_the_far_future_is_no_trouble() {
    // req H2: year 9999 and beyond, which are clamped.
    let mut scene = Scene::program(route(&[Carrier::Header]), presented(Carrier::Header));
    scene.actions();
    let forever = UnixTime::MAX.since(START.unix);
    scene.connection.handle_verdict(START, Ok(permit("alice", Carrier::Header, Some(forever + 9 * SECOND), START)));
    let expected = format!("send authenticated alice until {} s", forever.as_secs());
    assert_eq!(scene.actions(), ["accept".to_owned(), "opened".to_owned(), expected]);
    assert_eq!(scene.deadline(), Some(forever));
    scene.pass(1_000_000_000 * SECOND);
    assert_eq!(scene.actions(), [""; 0]);
    assert!(scene.connection.permit().is_some());
}

#[test]
fn a_credential_without_an_end_needs_no_timer() {
    let mut scene = Scene::alice(None);
    assert_eq!(scene.deadline(), None);
    scene.pass(1_000_000_000 * SECOND);
    assert_eq!(scene.actions(), [""; 0]);
    assert!(scene.connection.permit().is_some());
}

#[test]
fn a_clock_set_back_keeps_nobody_in() {
    // req H2: the monotonic clock goes on.
    let mut scene = Scene::alice(Some(60 * SECOND));
    scene.now.unix = START.unix.minus(3600 * SECOND);
    scene.pass(60 * SECOND);
    assert_eq!(scene.actions(), EXPIRED);
}

#[test]
fn a_clock_set_forward_ends_what_has_ended() {
    // req H2: after a suspend the wall clock has gone on and the monotonic one has not.
    let later = Now { monotonic: START.monotonic + SECOND, unix: START.unix.plus(3600 * SECOND) };
    let mut scene = Scene::alice(Some(60 * SECOND));
    scene.connection.handle_timeout(later);
    assert_eq!(scene.actions(), EXPIRED);

    let mut scene = Scene::alice(Some(60 * SECOND));
    scene.now = later;
    scene.text(r#"{"type":"join","room":"board-1"}"#);
    assert_eq!(scene.actions(), EXPIRED);

    let mut scene = Scene::alice(None);
    scene.now = later;
    scene.text(r#"{"type":"join","room":"board-1"}"#);
    assert_eq!(scene.actions(), ["deliver join board-1"]);
}

#[test]
fn a_revocation_ends_it_and_nothing_else_leaves() {
    // req H4: what had been answered and not carried out yet is dropped. Whether the application still gets its message is the driver's to ask.
    let mut scene = Scene::alice(Some(60 * SECOND));
    scene.text(r#"{"type":"ping"}"#);
    let late = Received::Text(r#"{"type":"publish","room":"board-1","data":"late"}"#);
    assert_eq!(scene.connection.handle_message(scene.now, late), Recipient::Application);
    scene.text(r#"{"type":"auth"}"#);
    scene.connection.handle_revoked(scene.now, RevocationCause::Logout);
    assert!(scene.connection.permit().is_none());
    scene.text(r#"{"type":"publish","room":"board-1","data":"later"}"#);
    scene.text(AUTH);
    assert_eq!(scene.actions(), ["discard queued", "send bye 4004 Session ended no", "close 4004 Session ended"]);
    scene.connection.handle_revoked(scene.now, RevocationCause::Logout);
    scene.assert_gone_within_linger();
}

#[test]
fn a_revocation_right_at_the_101_keeps_the_101() {
    // Accepted in the same breath: the peer gets a socket that closes, and no welcome.
    let mut scene = Scene::program(route(&[Carrier::Header]), presented(Carrier::Header));
    scene.actions();
    scene.admit("alice", None);
    scene.connection.handle_revoked(scene.now, RevocationCause::Logout);
    let expected = ["accept", "discard queued", "send bye 4004 Session ended no", "close 4004 Session ended"];
    assert_eq!(scene.actions(), expected);
    scene.assert_gone_within_linger();
}

#[test]
fn the_limit_of_a_message_rises_with_the_verdict() {
    // req E2
    let rules = RouteRules { max_message_bytes: 1_000_000, ..route(&[Carrier::FirstMessage]) };
    let mut scene = Scene::program(rules, crate::scene::nothing());
    assert_eq!(scene.connection.input_limits().message, 8 * 1024);
    scene.text(AUTH);
    assert_eq!(scene.connection.input_limits().message, 8 * 1024);
    scene.admit("alice", None);
    assert_eq!(scene.connection.input_limits().message, 1_000_000);
}
