//! What changes about an open connection from elsewhere.

use std::sync::Arc;
use std::time::Duration;

use usher_auth::UnixTime;
use usher_auth::carriers::Carrier;
use usher_auth::connection::{RenewedToken, SessionRenewal};
use usher_auth::ids::{Role, SessionId, TokenId};
use usher_auth::origin::AllowedOrigins;
use usher_auth::protocol::ApplicationAnswer;
use usher_auth::revocation::RevocationCause;
use usher_auth::route::{ReauthRules, RouteRules};
use usher_auth::session::{Session, SessionLimits};
use usher_auth::user::User;

use crate::scene::{AUTH, SECOND, START, Scene, just_before, nothing, presented, route, session, user};

const REVOKED: [&str; 3] = ["discard queued", "send bye 4004 Session ended no", "close 4004 Session ended"];
const FORBIDDEN: [&str; 2] = ["send bye 4003 Forbidden no", "close 4003 Forbidden"];

fn renewal(of: &str, session_ends: u32, token_ends: u32) -> SessionRenewal {
    renewal_of(&session(&user(of)), &user(of), session_ends, token_ends)
}

fn renewal_of(session: &Session, user: &User, session_ends: u32, token_ends: u32) -> SessionRenewal {
    let session = Session { created_at: START.unix, last_seen_at: START.unix, ..session.clone() };
    let limits = SessionLimits { idle: session_ends * SECOND, absolute: session_ends * SECOND };
    let token = RenewedToken {
        token_id: TokenId::new("jti-new").expect("an id"),
        issued_at: START.unix.plus(10 * SECOND),
        roles_read_at: START.unix.plus(10 * SECOND),
        expires_at: START.unix.plus(token_ends * SECOND),
    };
    SessionRenewal::new(&session, user, limits, token).expect("the session is the user's")
}

fn roles(scene: &Scene) -> Vec<String> {
    let principal = scene.connection.permit().expect("somebody is in").principal();
    principal.roles.iter().map(ToString::to_string).collect()
}

#[test]
fn a_session_renewed_over_http_goes_on_here() {
    // S10
    let mut scene = Scene::alice(Some(60 * SECOND));
    scene.pass(30 * SECOND);
    scene.connection.handle_session_renewed(scene.now, &renewal("alice", 300, 90));
    assert_eq!(scene.actions(), ["renewed"]);
    assert!(!scene.connection.wants_read() && !scene.connection.takes_updates());
    scene.permit_changed();
    assert_eq!(scene.actions(), ["send authenticated alice until 300 s"]);
    assert!(scene.connection.wants_read() && scene.connection.takes_updates());
    assert_eq!(scene.deadline(), Some(300 * SECOND), "let in by the session, so with the session");
}

#[test]
fn another_sessions_renewal_is_not_ours() {
    let mut scene = Scene::alice(Some(60 * SECOND));
    let alices = session(&user("alice"));
    let other = Session { id: SessionId::from_random([5; 16]), ..alices.clone() };
    let other = renewal_of(&other, &user("alice"), 300, 300);
    scene.connection.handle_session_renewed(scene.now, &other);
    scene.connection.handle_session_renewed(scene.now, &renewal("bob", 300, 300));
    let disabled = User { disabled: true, ..user("alice") };
    let disabled = renewal_of(&alices, &disabled, 300, 300);
    scene.connection.handle_session_renewed(scene.now, &disabled);
    assert_eq!(scene.actions(), [""; 0]);
    assert_eq!(scene.deadline(), Some(60 * SECOND));
}

#[test]
fn a_renewal_that_comes_after_the_end_comes_too_late() {
    let mut scene = Scene::alice(Some(60 * SECOND));
    scene.pass_unnoticed(60 * SECOND);
    scene.connection.handle_session_renewed(scene.now, &renewal("alice", 300, 300));
    assert_eq!(scene.actions(), ["send bye 4002 Session expired renew", "close 4002 Session expired"]);
}

#[test]
fn roles_that_change_change_the_rooms_and_not_the_end() {
    // req H3: role removed
    let mut scene = Scene::alice(Some(60 * SECOND));
    let demoted = User { roles: vec![Role::new("guest").expect("a role")], ..user("alice") };
    scene.connection.handle_user_changed(scene.now, &demoted, START.unix.plus(SECOND));
    assert_eq!(scene.actions(), ["rights changed"]);
    assert_eq!(roles(&scene), ["guest"]);
    // The application has told the client what it lost; the connection has nothing to say.
    scene.connection.handle_permit_changed(scene.now, &ApplicationAnswer::member("rooms_lost", vec!["board-1"]));
    assert_eq!(scene.actions(), [""; 0]);
    assert_eq!(scene.deadline(), Some(60 * SECOND));
    // What was read earlier and comes later changes nothing.
    scene.connection.handle_user_changed(scene.now, &user("alice"), START.unix);
    assert_eq!(roles(&scene), ["guest"]);
    // Nothing lost, nothing said.
    scene.connection.handle_user_changed(scene.now, &user("alice"), START.unix.plus(2 * SECOND));
    scene.permit_changed();
    assert_eq!(scene.actions(), ["rights changed"]);
    assert_eq!(roles(&scene), ["user"]);
}

#[test]
fn a_session_in_use_does_not_idle_out() {
    // The contract: client frames touch the session at most once a minute, heartbeats do not.
    let mut scene = Scene::alice(Some(600 * SECOND));
    let join = r#"{"type":"typing","room":"board-1"}"#;
    scene.pass(just_before(60 * SECOND));
    scene.text(join);
    scene.connection.handle_heard(scene.now);
    assert_eq!(scene.actions(), ["deliver typing board-1"]);
    scene.pass(SECOND);
    scene.text(join);
    scene.text(join);
    assert_eq!(scene.actions(), ["touch session", "deliver typing board-1", "deliver typing board-1"]);
    let session = session(&user("alice")).id;
    scene.connection.handle_session_used(scene.now, &session, START.unix.plus(900 * SECOND));
    scene.connection.handle_session_used(scene.now, &SessionId::from_random([5; 16]), START.unix.plus(9 * SECOND));
    assert_eq!(scene.actions(), [""; 0], "nobody asked");
    assert_eq!(scene.deadline(), Some(900 * SECOND));
    // A soft revocation's margin is not moved by use.
    scene.connection.handle_revoked_with_margin(scene.now, 30 * SECOND, RevocationCause::Logout);
    scene.connection.handle_session_used(scene.now, &session, START.unix.plus(1200 * SECOND));
    scene.actions();
    scene.pass(30 * SECOND);
    assert_eq!(scene.actions(), REVOKED);
}

#[test]
fn what_has_no_session_touches_none() {
    let mut scene = Scene::alice(None);
    scene.pass(300 * SECOND);
    scene.text(r#"{"type":"typing","room":"board-1"}"#);
    assert_eq!(scene.actions(), ["deliver typing board-1"]);
}

#[test]
fn a_soft_revocation_asks_first() {
    // req H3: the margin
    let mut scene = Scene::alice(Some(600 * SECOND));
    scene.connection.handle_revoked_with_margin(scene.now, 30 * SECOND, RevocationCause::Logout);
    assert_eq!(scene.actions(), ["send reauth_required 30 s, by 30 s"]);
    scene.pass(just_before(30 * SECOND));
    assert_eq!(scene.actions(), [""; 0]);
    scene.pass(SECOND);
    assert_eq!(scene.actions(), REVOKED);

    let mut scene = Scene::alice(Some(600 * SECOND));
    scene.connection.handle_revoked_with_margin(scene.now, 30 * SECOND, RevocationCause::Logout);
    scene.pass(10 * SECOND);
    scene.text(AUTH);
    scene.admit("alice", Some(600 * SECOND));
    scene.permit_changed();
    scene.actions();
    assert_eq!(scene.deadline(), Some(610 * SECOND), "a new credential takes the revoked one's place");
}

#[test]
fn a_margin_never_lengthens_a_life() {
    let mut scene = Scene::alice(Some(10 * SECOND));
    scene.connection.handle_revoked_with_margin(scene.now, 30 * SECOND, RevocationCause::Logout);
    assert_eq!(scene.actions(), ["send reauth_required 10 s, by 10 s"]);
    scene.pass(10 * SECOND);
    assert_eq!(scene.actions(), REVOKED);
}

#[test]
fn other_roles_do_not_lift_a_soft_revocation() {
    let mut scene = Scene::alice(Some(600 * SECOND));
    scene.connection.handle_revoked_with_margin(scene.now, 30 * SECOND, RevocationCause::Logout);
    scene.connection.handle_user_changed(scene.now, &user("alice"), START.unix.plus(SECOND));
    scene.permit_changed();
    scene.actions();
    scene.pass(30 * SECOND);
    assert_eq!(scene.actions(), REVOKED);
}

#[test]
fn other_rules_end_only_those_who_would_not_be_let_in() {
    // req H14
    let all = [Carrier::FirstMessage, Carrier::Header, Carrier::Cookie];
    let page = "https://app.example.com";
    let with = |carriers: &[Carrier]| Some(Arc::new(route(carriers)));
    let elsewhere = AllowedOrigins::new(Vec::new());
    let no_origins = Some(Arc::new(RouteRules { origins: elsewhere, ..route(&all) }));
    for (carrier, rules, stays) in [
        (Carrier::Header, with(&all), true),
        (Carrier::Header, with(&[Carrier::Header]), true),
        (Carrier::Header, with(&[Carrier::Cookie]), false),
        (Carrier::Header, no_origins.clone(), true),
        (Carrier::Header, None, false),
        (Carrier::Cookie, with(&[Carrier::Cookie]), true),
        (Carrier::Cookie, with(&[Carrier::Header]), false),
        (Carrier::Cookie, no_origins, false),
    ] {
        let mut scene = Scene::browser(route(&all), presented(carrier));
        let permit = crate::scene::permit("alice", carrier, None, scene.now);
        scene.connection.handle_verdict(scene.now, Ok(permit));
        scene.actions();
        scene.connection.handle_rules_changed(scene.now, rules.as_ref(), Some(page));
        let expected: &[&str] = if stays { &[] } else { &FORBIDDEN };
        assert_eq!(scene.actions(), expected, "{carrier} {rules:?}");
    }
}

#[test]
fn other_rules_for_visitors_and_for_those_who_wait() {
    // req H14
    let open = RouteRules { anonymous: true, ..route(&[Carrier::FirstMessage]) };
    let shut = Arc::new(route(&[Carrier::FirstMessage]));
    let mut scene = Scene::program(open.clone(), nothing());
    scene.actions();
    scene.connection.handle_rules_changed(scene.now, Some(&Arc::new(open)), None);
    assert_eq!(scene.actions(), [""; 0]);
    scene.connection.handle_rules_changed(scene.now, Some(&shut), None);
    assert_eq!(scene.actions(), FORBIDDEN);

    let mut scene = Scene::waiting();
    scene.connection.handle_rules_changed(scene.now, Some(&shut), None);
    assert!(scene.connection.is_waiting());
    scene.connection.handle_rules_changed(scene.now, Some(&Arc::new(route(&[Carrier::Header]))), None);
    assert_eq!(scene.actions(), FORBIDDEN);
}

#[test]
fn another_max_age_counts_from_the_beginning() {
    let reauth = ReauthRules { lead: 60 * SECOND, jitter: Duration::ZERO };
    let rules = |max_age| RouteRules { max_age, reauth, ..route(&[Carrier::Header, Carrier::FirstMessage]) };
    let mut scene = Scene::alice_on(rules(None), Some(600 * SECOND));
    scene.pass(100 * SECOND);
    scene.connection.handle_rules_changed(scene.now, Some(&Arc::new(rules(Some(300 * SECOND)))), None);
    assert_eq!(scene.deadline(), Some(300 * SECOND));
    scene.connection.handle_rules_changed(scene.now, Some(&Arc::new(rules(Some(50 * SECOND)))), None);
    scene.pass(Duration::ZERO);
    assert_eq!(scene.actions(), ["send bye 4002 Session expired renew", "close 4002 Session expired"]);
}

#[test]
fn other_rules_do_not_lift_a_soft_revocation() {
    // req H3, H14
    let rules = |max_age| Arc::new(RouteRules { max_age, ..route(&[Carrier::FirstMessage, Carrier::Header]) });
    for (max_age, end) in [(None, 30), (Some(3600 * SECOND), 30), (Some(20 * SECOND), 20)] {
        let mut scene =
            Scene::alice_on(RouteRules { max_age: Some(900 * SECOND), ..(*rules(None)).clone() }, Some(600 * SECOND));
        scene.connection.handle_revoked_with_margin(scene.now, 30 * SECOND, RevocationCause::Logout);
        scene.connection.handle_rules_changed(scene.now, Some(&rules(max_age)), None);
        scene.actions();
        assert_eq!(scene.deadline(), Some(end * SECOND), "{max_age:?}");
        scene.pass(end * SECOND);
        assert_eq!(scene.actions(), REVOKED, "{max_age:?}");
    }
}

#[test]
fn nothing_is_amended_where_nobody_is_in() {
    for mut scene in [Scene::waiting(), Scene::verifying()] {
        scene.connection.handle_session_renewed(scene.now, &renewal("alice", 300, 300));
        scene.connection.handle_user_changed(scene.now, &user("alice"), UnixTime::MAX);
        scene.connection.handle_revoked_with_margin(scene.now, 30 * SECOND, RevocationCause::Logout);
        assert_eq!(scene.actions(), [""; 0]);
        assert!(scene.connection.permit().is_none() && !scene.connection.takes_updates());
    }
}
