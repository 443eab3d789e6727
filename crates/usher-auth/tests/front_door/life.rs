//! The warning before the end, and the heartbeat.

use usher_auth::carriers::Carrier;
use usher_auth::connection::Connection;
use usher_auth::ids::ConnectionId;
use usher_auth::route::{ReauthRules, RouteRules};

use crate::scene::{AUTH, SECOND, START, Scene, TICK, just_before, permit, presented, route};

const EXPIRED: [&str; 2] = ["send bye 4002 Session expired renew", "close 4002 Session expired"];
const GONE: [&str; 2] = ["send bye 4011 Ping timeout yes", "close 4011 Ping timeout"];

fn asking(lead: u32, jitter: u32) -> RouteRules {
    let reauth = ReauthRules { lead: lead * SECOND, jitter: jitter * SECOND };
    RouteRules { reauth, ..route(&[Carrier::FirstMessage, Carrier::Header]) }
}

fn beating() -> RouteRules {
    RouteRules { heartbeat: Some(20 * SECOND), ..route(&[Carrier::FirstMessage, Carrier::Header]) }
}

#[test]
fn a_new_credential_is_asked_for_once_before_the_end() {
    // req H9, S10
    let mut scene = Scene::alice_on(asking(60, 0), Some(600 * SECOND));
    assert_eq!(scene.deadline(), Some(540 * SECOND));
    scene.pass(just_before(540 * SECOND));
    assert_eq!(scene.actions(), [""; 0]);
    scene.pass(TICK);
    assert_eq!(scene.actions(), ["send reauth_required 600 s, by 600 s"]);
    assert_eq!(scene.deadline(), Some(600 * SECOND));
    scene.pass(just_before(60 * SECOND));
    assert_eq!(scene.actions(), [""; 0]);
    scene.pass(TICK);
    assert_eq!(scene.actions(), EXPIRED);
}

#[test]
fn each_credential_is_warned_of() {
    // req H9
    let mut scene = Scene::alice_on(asking(60, 0), Some(600 * SECOND));
    scene.pass(540 * SECOND);
    scene.text(AUTH);
    scene.admit("alice", Some(600 * SECOND));
    scene.permit_changed();
    let renewed = ["verify first_message token", "renewed", "send authenticated alice until 1140 s"];
    assert_eq!(scene.actions()[1..], renewed);
    assert_eq!(scene.deadline(), Some(1080 * SECOND));
    scene.pass(540 * SECOND);
    assert_eq!(scene.actions(), ["send reauth_required 1140 s, by 1140 s"]);
}

#[test]
fn a_short_life_is_warned_of_at_its_half() {
    let scene = Scene::alice_on(asking(60, 30), Some(10 * SECOND));
    assert_eq!(scene.deadline(), Some(5 * SECOND));
}

#[test]
fn no_credential_is_asked_for_that_would_not_help() {
    // `max_age` comes first, or there is no end, or nobody wants to be asked.
    let capped = RouteRules { max_age: Some(300 * SECOND), ..asking(60, 0) };
    assert_eq!(Scene::alice_on(capped, Some(600 * SECOND)).deadline(), Some(300 * SECOND));
    assert_eq!(Scene::alice_on(asking(60, 0), None).deadline(), None);
    assert_eq!(Scene::alice_on(asking(0, 30), Some(600 * SECOND)).deadline(), Some(600 * SECOND));
}

#[test]
fn those_who_logged_in_together_are_not_asked_together() {
    // req H9: within the jitter before the lead, and spread over it.
    let rules = std::sync::Arc::new(asking(60, 30));
    let mut leads: Vec<u64> = (0..=255_u8)
        .map(|high| {
            let mut id = [7; 16];
            id[14] = high;
            let id = ConnectionId::from_random(id);
            let mut connection = Connection::begin(id, rules.clone(), Ok(presented(Carrier::Header)), false, START);
            let alice = permit("alice", Carrier::Header, Some(600 * SECOND), START);
            connection.handle_verdict(START, Ok(alice));
            connection.handle_admission(START, Ok(()));
            let asked = connection.poll_timeout().expect("a deadline");
            (START.monotonic + 600 * SECOND).checked_sub(asked).unwrap().as_secs()
        })
        .collect();
    leads.sort_unstable();
    assert!(*leads.first().expect("some") < 62 && *leads.last().expect("some") > 87, "{leads:?}");
    assert!(leads.iter().all(|lead| (60..=90).contains(lead)), "{leads:?}");
    let in_each_third = [60..70, 70..80, 80..91].map(|third| leads.iter().filter(|lead| third.contains(*lead)).count());
    assert!(in_each_third.iter().all(|count| *count > 60), "{in_each_third:?}");
}

#[test]
fn a_machine_that_slept_ends_what_ended_meanwhile() {
    // req H2: the monotonic clock stood still, the heartbeat's timer comes, and the wall clock says that the credential is over.
    let mut scene = Scene::alice_on(beating(), Some(600 * SECOND));
    scene.now = scene.now.after(20 * SECOND);
    scene.now.unix = scene.now.unix.plus(3600 * SECOND);
    scene.connection.handle_timeout(scene.now);
    assert_eq!(scene.actions(), EXPIRED);
}

#[test]
fn a_silent_client_is_pinged_and_gone_after_two_intervals() {
    // req H13
    let mut scene = Scene::alice_on(beating(), None);
    assert_eq!(scene.deadline(), Some(20 * SECOND));
    scene.pass(just_before(20 * SECOND));
    assert_eq!(scene.actions(), [""; 0]);
    scene.pass(TICK);
    assert_eq!(scene.actions(), ["ping"]);
    assert_eq!(scene.deadline(), Some(40 * SECOND));
    scene.pass(just_before(20 * SECOND));
    assert_eq!(scene.actions(), [""; 0]);
    scene.pass(TICK);
    assert_eq!(scene.actions(), GONE);
    scene.assert_gone_within_linger();
}

#[test]
fn a_sign_of_life_keeps_it() {
    // req H13: whatever it is; a client that talks is not even pinged.
    let mut scene = Scene::alice_on(beating(), None);
    for _ in 0..10 {
        scene.pass(15 * SECOND);
        scene.connection.handle_heard(scene.now);
    }
    assert_eq!(scene.actions(), [""; 0]);
    scene.pass(20 * SECOND);
    assert_eq!(scene.actions(), ["ping"]);
    scene.pass(19 * SECOND);
    scene.connection.handle_heard(scene.now);
    scene.pass(just_before(20 * SECOND));
    assert_eq!(scene.actions(), [""; 0]);
    scene.pass(TICK);
    assert_eq!(scene.actions(), ["ping"], "quiet is not dead");
}

#[test]
fn a_server_that_was_stopped_does_not_blame_its_clients() {
    // The process stood still for a minute: no answer could have come. Everybody is asked again, once.
    let mut scene = Scene::alice_on(beating(), None);
    scene.pass(20 * SECOND);
    assert_eq!(scene.actions(), ["ping"]);
    scene.pass(60 * SECOND);
    assert_eq!(scene.actions(), ["ping"]);
    scene.pass(20 * SECOND);
    assert_eq!(scene.actions(), GONE);
}

#[test]
fn who_waits_is_not_pinged() {
    let mut scene = Scene::program(beating(), crate::scene::nothing());
    assert_eq!(scene.actions(), ["accept"]);
    assert_eq!(scene.deadline(), Some(crate::scene::TIMEOUT), "the one deadline stands, whatever is heard");
    scene.connection.handle_heard(scene.now);
    assert_eq!(scene.deadline(), Some(crate::scene::TIMEOUT));
}
