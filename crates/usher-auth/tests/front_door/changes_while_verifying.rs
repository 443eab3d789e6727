//! What changes about an open connection while a new credential is being verified: in force at once, and not undone by the verdict.

use std::sync::Arc;

use usher_auth::UnixTime;
use usher_auth::carriers::Carrier;
use usher_auth::connection::{RenewedToken, SessionRenewal};
use usher_auth::ids::{Role, TokenId};
use usher_auth::session::{Session, SessionLimits};
use usher_auth::user::User;

use crate::scene::{AUTH, SECOND, START, Scene, permit, presented, route, session, user};

fn roles(scene: &Scene) -> Vec<String> {
    let principal = scene.connection.permit().expect("a user is authenticated").principal();
    principal.roles.iter().map(ToString::to_string).collect()
}

fn demoted() -> User {
    User { roles: vec![Role::new("guest").expect("a role")], ..user("alice") }
}

#[test]
fn roles_count_at_once_and_a_verification_that_began_before_does_not_bring_the_old_ones() {
    // req H3
    let mut scene = Scene::renewing(None);
    let before = scene.now;
    scene.pass(SECOND);
    assert!(scene.connection.takes_updates());
    scene.connection.handle_user_changed(scene.now, &demoted(), scene.now.unix);
    assert_eq!(scene.actions(), ["rights changed"]);
    assert_eq!(roles(&scene), ["guest"]);
    scene.permit_changed();
    assert!(!scene.connection.wants_read(), "the credential is still being verified");
    scene.pass(SECOND);
    // The user was read before the change, and the permit says so.
    scene.connection.handle_verdict(scene.now, Ok(permit("alice", Carrier::FirstMessage, None, before)));
    assert_eq!(scene.actions(), ["renewed"]);
    assert_eq!(roles(&scene), ["guest"]);
    scene.permit_changed();
    assert_eq!(scene.actions(), ["send authenticated alice for ever"]);
    assert!(scene.connection.wants_read());
}

#[test]
fn a_verification_that_read_the_user_later_knows_better() {
    let mut scene = Scene::renewing(None);
    scene.connection.handle_user_changed(scene.now, &demoted(), scene.now.unix);
    scene.permit_changed();
    scene.pass(2 * SECOND);
    scene.connection.handle_verdict(scene.now, Ok(permit("alice", Carrier::FirstMessage, None, scene.now)));
    assert_eq!(roles(&scene), ["user"], "changed back, and read after that");
}

#[test]
fn a_bad_credential_leaves_the_roles_as_they_are() {
    let mut scene = Scene::renewing(None);
    scene.connection.handle_user_changed(scene.now, &demoted(), START.unix.plus(SECOND));
    scene.permit_changed();
    scene.actions();
    scene.refuse(usher_auth::refusal::RefusalKind::Unauthorized);
    assert_eq!(roles(&scene), ["guest"]);
    assert!(scene.connection.wants_read());
}

#[test]
fn a_session_that_is_used_or_renewed_meanwhile_ends_when_it_does_now() {
    let renewed = |scene: &Scene| renewal(scene.now.unix);
    for used in [true, false] {
        let mut scene = Scene::renewing(Some(60 * SECOND));
        let before = scene.now;
        scene.pass(SECOND);
        if used {
            let session = session(&user("alice")).id;
            scene.connection.handle_session_used(scene.now, &session, START.unix.plus(900 * SECOND));
        } else {
            scene.connection.handle_session_renewed(scene.now, &renewed(&scene));
            scene.permit_changed();
        }
        assert_eq!(scene.deadline(), Some(900 * SECOND), "used: {used}");
        // What the verification read is from before.
        let verdict = permit("alice", Carrier::FirstMessage, Some(60 * SECOND), before);
        scene.connection.handle_verdict(scene.now, Ok(verdict));
        assert_eq!(scene.deadline(), Some(900 * SECOND), "used: {used}");
    }
}

#[test]
fn a_carrier_that_is_withdrawn_meanwhile_renews_nothing() {
    // req H14
    let mut scene = Scene::browser(route(&[Carrier::FirstMessage, Carrier::Header]), presented(Carrier::Header));
    let permit = permit("alice", Carrier::Header, None, scene.now);
    scene.connection.handle_verdict(scene.now, Ok(permit));
    scene.connection.handle_admission(scene.now, Ok(()));
    scene.text(AUTH);
    let rules = Arc::new(route(&[Carrier::Header]));
    scene.connection.handle_rules_changed(scene.now, Some(&rules), None);
    scene.actions();
    scene.admit("alice", None);
    let said = scene.actions();
    assert!(said.iter().any(|line| line.contains("carrier_disabled")), "{said:?}");
    assert!(scene.connection.wants_read());
}

#[test]
fn a_renewal_that_read_the_user_before_a_change_does_not_bring_the_old_roles() {
    // req H3: also without a verification.
    let mut scene = Scene::alice(Some(60 * SECOND));
    scene.connection.handle_user_changed(scene.now, &demoted(), START.unix.plus(20 * SECOND));
    scene.permit_changed();
    let renewal = renewal(START.unix.plus(10 * SECOND));
    scene.connection.handle_session_renewed(scene.now, &renewal);
    assert_eq!(roles(&scene), ["guest"]);
    assert_eq!(scene.deadline(), Some(900 * SECOND), "it goes on for longer all the same");
}

/// Alice's session renewed by what was read at `issued_at`; it ends 900 s after [`START`].
fn renewal(issued_at: UnixTime) -> SessionRenewal {
    let alice = user("alice");
    let session = Session { last_seen_at: START.unix, ..session(&alice) };
    let limits = SessionLimits { idle: 900 * SECOND, absolute: 3600 * SECOND };
    let token = RenewedToken {
        token_id: TokenId::new("jti-new").expect("an id"),
        issued_at,
        roles_read_at: issued_at,
        expires_at: START.unix.plus(90 * SECOND),
    };
    SessionRenewal::new(&session, &alice, limits, token).expect("the session is hers")
}
