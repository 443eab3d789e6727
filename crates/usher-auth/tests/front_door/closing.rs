//! The end: each cause with its one code in each profile, and the socket freed within a second whatever the peer does.

use std::collections::BTreeMap;
use std::time::Duration;

use usher_auth::carriers::Carrier;
use usher_auth::close_code::{CloseCause, CloseCodes, CloseProfile};
use usher_auth::connection::{Action, LINGER, Violation};
use usher_auth::revocation::RevocationCause;
use usher_auth::route::RouteRules;

use crate::scene::{AUTH, SECOND, Scene, nothing, presented, route};

/// Cause, codes in the profiles `usher`, `policy` and `iana`, reason, whether to come back: docs/protocol/close-codes.md.
#[rustfmt::skip]
const TABLE: [(CloseCause, [u16; 3], &str, &str); 19] = [
    (CloseCause::ClientLeft, [1000, 1000, 1000], "", "no"),
    (CloseCause::GoingAway, [1001, 1001, 1001], "Going away", "yes"),
    (CloseCause::Draining, [1012, 1012, 1012], "Server restarting", "yes"),
    (CloseCause::ProtocolError, [1002, 1002, 1002], "Protocol error", "no"),
    (CloseCause::UnsupportedData, [1003, 1003, 1003], "Text frames only", "no"),
    (CloseCause::InvalidUtf8, [1007, 1007, 1007], "Text must be UTF-8", "no"),
    (CloseCause::Malformed, [1007, 1007, 1007], "Malformed message", "no"),
    (CloseCause::MessageTooBig, [1009, 1009, 1009], "Message too big", "no"),
    (CloseCause::Unauthorized, [4001, 1008, 3000], "Unauthorized", "no"),
    (CloseCause::Expired, [4002, 4001, 3000], "Session expired", "renew"),
    (CloseCause::Forbidden, [4003, 4003, 3003], "Forbidden", "no"),
    (CloseCause::Revoked, [4004, 1008, 3000], "Session ended", "no"),
    (CloseCause::AuthenticationTimeout, [4008, 1008, 3008], "Authentication timeout", "yes"),
    (CloseCause::TooMany, [4029, 1008, 1013], "Too many", "yes"),
    (CloseCause::SlowConsumer, [4010, 1008, 1013], "Slow consumer", "yes"),
    (CloseCause::PingTimeout, [4011, 1001, 1001], "Ping timeout", "yes"),
    (CloseCause::UpstreamLost, [1014, 1014, 1014], "Upstream lost", "yes"),
    (CloseCause::Application, [1000, 1000, 1000], "", "yes"),
    (CloseCause::Internal, [1011, 1011, 1011], "Internal error", "yes"),
];
const PROFILES: [CloseProfile; 3] = [CloseProfile::Usher, CloseProfile::Policy, CloseProfile::Iana];

#[test]
fn each_cause_has_its_code_in_the_last_frame_and_in_the_close_frame() {
    // req H10, S9
    assert_eq!(TABLE.map(|row| row.0), CloseCause::ALL);
    for (cause, codes, reason, reconnect) in TABLE {
        for (profile, code) in PROFILES.into_iter().zip(codes) {
            let rules = || RouteRules {
                close_codes: CloseCodes::from(profile),
                ..route(&[Carrier::Header, Carrier::FirstMessage])
            };
            let open = Scene::alice_on(rules(), None);
            let mut waiting = Scene::program(rules(), nothing());
            assert_eq!(waiting.actions(), ["accept"]);
            let mut verifying = Scene::program(rules(), nothing());
            verifying.text(AUTH);
            assert_eq!(verifying.actions(), ["accept", "verify first_message token"]);
            for mut scene in [open, waiting, verifying] {
                scene.connection.handle_end(scene.now, cause, None);
                let expected = [format!("send bye {code} {reason} {reconnect}"), format!("close {code} {reason}")];
                assert_eq!(scene.actions(), expected, "{cause:?} {profile:?}");
                assert!(scene.connection.permit().is_none());
                scene.assert_gone_within_linger();
            }
        }
    }
}

/// Ends a connection.
type End = fn(&mut Scene);

#[test]
fn the_machines_own_ends_follow_the_profile_too() {
    // S9, req H10
    let ends: [(End, CloseCause); 6] = [
        (|scene| scene.connection.handle_revoked(scene.now, RevocationCause::Logout), CloseCause::Revoked),
        (|scene| scene.pass(60 * SECOND), CloseCause::Expired),
        (|scene| scene.connection.handle_violation(scene.now, Violation::Protocol), CloseCause::ProtocolError),
        (|scene| scene.connection.handle_violation(scene.now, Violation::InvalidUtf8), CloseCause::InvalidUtf8),
        (|scene| scene.connection.handle_violation(scene.now, Violation::TooBig), CloseCause::MessageTooBig),
        (|scene| scene.connection.handle_violation(scene.now, Violation::Binary), CloseCause::UnsupportedData),
    ];
    for (end, cause) in ends {
        let (_, codes, reason, reconnect) = TABLE.into_iter().find(|row| row.0 == cause).expect("a row of the table");
        for (profile, code) in PROFILES.into_iter().zip(codes) {
            let rules = RouteRules { close_codes: CloseCodes::from(profile), ..route(&[Carrier::Header]) };
            let mut scene = Scene::alice_on(rules, Some(60 * SECOND));
            end(&mut scene);
            let mut actions = scene.actions();
            actions.retain(|action| action != "discard queued");
            assert_eq!(actions, [format!("send bye {code} {reason} {reconnect}"), format!("close {code} {reason}")]);
            scene.assert_gone_within_linger();
        }
    }
}

#[test]
fn an_operators_own_code_is_in_both_places() {
    let overrides = BTreeMap::from([(CloseCause::Revoked, 4444)]);
    let close_codes = CloseCodes::new(CloseProfile::Policy, overrides).expect("a code that may be sent");
    let mut scene = Scene::alice_on(RouteRules { close_codes, ..route(&[Carrier::Header]) }, None);
    scene.connection.handle_revoked(scene.now, RevocationCause::Logout);
    assert_eq!(scene.actions(), ["discard queued", "send bye 4444 Session ended no", "close 4444 Session ended"]);
}

#[test]
fn the_close_says_its_cause_to_the_log() {
    for cause in CloseCause::ALL {
        let mut scene = Scene::alice(None);
        scene.connection.handle_end(scene.now, cause, None);
        let actions: Vec<_> = std::iter::from_fn(|| scene.connection.poll_action()).collect();
        assert!(matches!(actions[..], [Action::Send(_), Action::Close { cause: logged, .. }] if logged == cause));
    }
}

#[test]
fn when_to_come_back_is_told() {
    let mut scene = Scene::alice(None);
    scene.connection.handle_end(scene.now, CloseCause::TooMany, Some(Duration::from_millis(2500)));
    assert_eq!(scene.actions(), ["send bye 4029 Too many yes retry_after_ms=2500", "close 4029 Too many"]);
}

#[test]
fn only_the_first_end_counts() {
    let mut scene = Scene::alice(Some(60 * SECOND));
    scene.connection.handle_end(scene.now, CloseCause::SlowConsumer, None);
    scene.connection.handle_end(scene.now, CloseCause::Draining, None);
    scene.connection.handle_revoked(scene.now, RevocationCause::Logout);
    assert_eq!(scene.actions(), ["send bye 4010 Slow consumer yes", "close 4010 Slow consumer"]);
    scene.assert_gone_within_linger();
}

#[test]
fn what_was_taken_in_before_the_end_comes_before_it() {
    let mut scene = Scene::alice(None);
    scene.text(r#"{"type":"leave","room":"board-1"}"#);
    scene.connection.handle_end(scene.now, CloseCause::Draining, None);
    let expected = ["deliver leave board-1", "send bye 1012 Server restarting yes", "close 1012 Server restarting"];
    assert_eq!(scene.actions(), expected);
}

#[test]
fn the_peers_close_frees_the_socket_in_every_state() {
    // req E6
    let deciding = || {
        let mut scene = Scene::program(route(&[Carrier::Header]), presented(Carrier::Header));
        scene.actions();
        scene
    };
    let applying = || {
        let mut scene = Scene::renewing(None);
        scene.admit("alice", None);
        assert_eq!(scene.actions(), ["renewed"]);
        scene
    };
    let closing = || {
        let mut scene = Scene::alice(None);
        scene.connection.handle_end(scene.now, CloseCause::Draining, None);
        scene.actions();
        scene
    };
    let scenes = [
        deciding(),
        Scene::waiting(),
        Scene::verifying(),
        Scene::alice(Some(60 * SECOND)),
        Scene::renewing(None),
        applying(),
        closing(),
    ];
    for mut scene in scenes {
        scene.connection.handle_peer_closed();
        assert_eq!(scene.actions(), ["release"]);
        assert!(scene.connection.is_ended() && scene.connection.permit().is_none());
        assert!(!scene.connection.is_waiting() && !scene.connection.wants_read());
        assert_eq!(scene.deadline(), None);
        // Ended is the end.
        scene.connection.handle_peer_closed();
        scene.connection.handle_violation(scene.now, Violation::Protocol);
        scene.connection.handle_end(scene.now, CloseCause::Draining, None);
        scene.connection.handle_revoked(scene.now, RevocationCause::Logout);
        scene.permit_changed();
        scene.admit("alice", None);
        scene.text(AUTH);
        scene.pass(1000 * SECOND);
        assert_eq!(scene.actions(), [""; 0]);
        assert!(scene.connection.permit().is_none());
    }
}

#[test]
fn a_peer_that_breaks_the_protocol_while_closing_is_let_go_at_once() {
    for violation in [Violation::Protocol, Violation::InvalidUtf8, Violation::TooBig, Violation::Binary] {
        let mut scene = Scene::alice(None);
        scene.connection.handle_end(scene.now, CloseCause::Draining, None);
        scene.actions();
        scene.connection.handle_violation(scene.now, violation);
        assert_eq!(scene.actions(), ["release"]);
        assert!(scene.connection.is_ended());
    }
}

#[test]
fn a_closing_socket_is_read_but_not_listened_to() {
    let mut scene = Scene::alice(None);
    scene.connection.handle_end(scene.now, CloseCause::Draining, None);
    scene.actions();
    assert!(scene.connection.wants_read(), "unread bytes would reset the connection under our close frame");
    scene.text(r#"{"type":"ping"}"#);
    scene.text(r#"{"type":"publish","room":"board-1","data":1}"#);
    assert_eq!(scene.actions(), [""; 0]);
    assert_eq!(scene.connection.poll_timeout(), Some(scene.now.monotonic + LINGER));
}

#[test]
fn asking_early_or_twice_changes_nothing() {
    for make in
        [Scene::waiting, Scene::verifying, || Scene::alice(Some(60 * SECOND)), || Scene::renewing(Some(60 * SECOND))]
    {
        let mut scene = make();
        let deadline = scene.connection.poll_timeout().expect("each of these ends");
        for _ in 0..3 {
            scene.connection.handle_timeout(scene.now);
        }
        assert_eq!(scene.actions(), [""; 0]);
        assert_eq!(scene.connection.poll_timeout(), Some(deadline));

        // At the deadline it moves once: to the end of the linger.
        scene.pass(deadline.saturating_sub(scene.now.monotonic));
        scene.connection.handle_timeout(scene.now);
        let closes = scene.actions().iter().filter(|action| action.starts_with("close")).count();
        assert_eq!(closes, 1);
        assert_eq!(scene.connection.poll_timeout(), Some(deadline + LINGER));
    }
}
