//! Revocations of users.

use std::sync::Arc;

use usher_auth::UnixTime;
use usher_auth::revocation::{Revocation, RevocationCause, RevocationTarget};
use usher_auth::session::Session;

use super::fixtures::{
    add_api_key, api_key, at, refresh_token, revocation, secret, session, session_id, session_target, user, user_id,
    user_target,
};
use crate::Store;

#[doc(hidden)]
pub const SOURCE: &str = include_str!("revoked_users.rs");

async fn revoke(store: &dyn Store, revocation: &Revocation) -> Vec<Revocation> {
    store.revoke(revocation).await.expect("the store works")
}

async fn remembered(store: &dyn Store) -> Vec<Revocation> {
    store.revocations().await.expect("the store works")
}

async fn create(store: &dyn Store, session: &Session) {
    store.create_session(session).await.expect("the store works");
    let token = refresh_token(&format!("{}-refresh", session.id), session);
    store.create_refresh_token(&token).await.expect("the store works");
}

async fn ids_of(store: &dyn Store, user: &str) -> Vec<String> {
    let sessions = store.sessions_of(&user_id(user), None, u32::MAX).await.expect("the store works");
    sessions.into_iter().map(|session| session.id.to_string()).collect()
}

fn also(revocation: &Revocation, session: &str) -> Revocation {
    Revocation { target: session_target(session), ..revocation.clone() }
}

/// Each session that there is ends, and is revoked by its id: also one that began while the clock was ahead (req H3, L5).
pub async fn a_users_sessions_end_but_one_whatever_the_clock_said(store: Arc<dyn Store>) {
    store.create_user(&user("alice"), None).await.expect("the store works");
    create(&*store, &session("before", "alice", at(9))).await;
    create(&*store, &session("ahead", "alice", at(3600))).await;
    create(&*store, &session("Early", "alice", UnixTime::EPOCH)).await;
    create(&*store, &session("kept", "alice", at(5))).await;
    create(&*store, &session("bobs", "bob", at(5))).await;
    add_api_key(&*store, &api_key("key", "alice")).await;

    let changed = revocation(user_target("alice", at(10), Some("kept")), RevocationCause::PasswordChanged, at(10));
    // Remembered for as long after its last use as the others are after the revocation.
    let ahead = Revocation { forget_at: at(3600 + 1000), ..also(&changed, "ahead") };
    let all = [changed.clone(), also(&changed, "Early"), ahead, also(&changed, "before")];
    assert_eq!(revoke(&*store, &changed).await, all);
    assert_eq!(remembered(&*store).await, all);
    for (id, there) in [("before", false), ("ahead", false), ("Early", false), ("kept", true), ("bobs", true)] {
        assert_eq!(store.session_by_secret(&secret(id)).await.expect("the store works").is_some(), there, "{id}");
        let token = store.refresh_token(&secret(&format!("{id}-refresh"))).await.expect("the store works");
        assert_eq!(token.is_some(), there, "{id}");
    }
    assert!(store.api_key_by_secret(&secret("key")).await.expect("the store works").is_some());
    assert!(store.user(&user_id("alice")).await.expect("the store works").is_some());

    assert_eq!(revoke(&*store, &changed).await, [changed], "there is no more to end");
    assert_eq!(remembered(&*store).await, all);
}

/// A token of it was issued at its last use at the latest, and lives for as long after that as the caller says (req H3).
pub async fn the_end_of_a_session_is_remembered_from_its_last_use_if_the_clock_is_behind(store: Arc<dyn Store>) {
    store.create_user(&user("alice"), None).await.expect("the store works");
    for id in ["one", "two", "three", "used"] {
        create(&*store, &session(id, "alice", at(3600))).await;
    }
    assert!(store.touch_session(&session_id("used"), at(3700)).await.expect("the store works"));
    let logout = revocation(session_target("one"), RevocationCause::Logout, at(10));
    let until = |moment: i64, one: &Revocation| Revocation { forget_at: at(moment + 1000), ..one.clone() };
    assert_eq!(revoke(&*store, &logout).await, [until(3600, &logout)]);
    assert_eq!(revoke(&*store, &logout).await, std::slice::from_ref(&logout), "it is gone");
    let everywhere = revocation(user_target("alice", at(10), Some("three")), RevocationCause::Administrator, at(10));
    let all = [everywhere.clone(), until(3600, &also(&everywhere, "two")), until(3700, &also(&everywhere, "used"))];
    assert_eq!(revoke(&*store, &everywhere).await, all);
    assert_eq!(remembered(&*store).await[0], until(3600, &logout), "the longer time stays");
    store.reap_revocations(at(4_600)).await.expect("the store works");
    let targets: Vec<_> = remembered(&*store).await.into_iter().map(|one| one.target).collect();
    assert_eq!(targets, [session_target("used")]);
}

/// They are read anew.
pub async fn other_roles_end_no_session(store: Arc<dyn Store>) {
    store.create_user(&user("alice"), None).await.expect("the store works");
    create(&*store, &session("one", "alice", at(5))).await;
    add_api_key(&*store, &api_key("key", "alice")).await;
    let changed = revocation(user_target("alice", at(10), None), RevocationCause::RolesChanged, at(10));
    let remembers = [changed];
    assert_eq!(revoke(&*store, &remembers[0]).await, remembers);
    assert_eq!(remembered(&*store).await, remembers);
    assert_eq!(ids_of(&*store, "alice").await, ["one"]);
    assert!(store.api_key_by_secret(&secret("key")).await.expect("the store works").is_some());
}

/// A token of such a session would say that it was issued after the change, and have the old roles (req G8).
pub async fn other_roles_end_sessions_that_were_used_by_a_clock_that_is_behind_now(store: Arc<dyn Store>) {
    store.create_user(&user("alice"), None).await.expect("the store works");
    for (id, of, used) in [("now", "alice", 11), ("later", "alice", 3600), ("bobs", "bob", 3600)] {
        create(&*store, &session(id, of, at(used))).await;
    }
    let changed = revocation(user_target("alice", at(10), None), RevocationCause::RolesChanged, at(10));
    let ended = Revocation { cause: RevocationCause::Administrator, ..also(&changed, "later") };
    let all = [changed.clone(), Revocation { forget_at: at(3600 + 1000), ..ended }];
    assert_eq!(revoke(&*store, &changed).await, all);
    assert_eq!(remembered(&*store).await, all);
    assert_eq!(
        (ids_of(&*store, "alice").await, ids_of(&*store, "bob").await),
        (vec!["now".to_owned()], vec!["bobs".to_owned()])
    );
}

/// Logging out everywhere ends log-ins; the programs that have a key go on.
pub async fn api_keys_end_with_their_user_and_not_before(store: Arc<dyn Store>) {
    let ahead = usher_auth::api_key::ApiKey { created_at: at(3600), ..api_key("ahead", "alice") };
    for key in [api_key("one", "alice"), api_key("two", "alice"), ahead, api_key("bobs", "bob")] {
        add_api_key(&*store, &key).await;
    }
    let keys = async || {
        let keys = store.api_keys(None).await.expect("the store works");
        keys.into_iter().map(|key| key.id.to_string()).collect::<Vec<_>>()
    };
    for cause in RevocationCause::ALL.into_iter().filter(|cause| *cause != RevocationCause::UserDeleted) {
        revoke(&*store, &revocation(user_target("alice", UnixTime::MAX, None), cause, at(10))).await;
        assert_eq!(keys().await, ["ahead", "bobs", "one", "two"], "{cause:?}");
    }
    let deleted = revocation(user_target("alice", at(20), None), RevocationCause::UserDeleted, at(20));
    let of_key = |id| RevocationTarget::ApiKey(usher_auth::ids::ApiKeyId::new(id).expect("a valid id"));
    let ended = ["ahead", "one", "two"].map(|id| Revocation { target: of_key(id), ..deleted.clone() });
    assert_eq!(revoke(&*store, &deleted).await, [&[deleted], &ended[..]].concat());
    assert_eq!(keys().await, ["bobs"]);
}

/// However often it happens: the later moment counts, and it is kept for as long as the longest asks.
pub async fn a_user_has_one_revocation_for_each_cause(store: Arc<dyn Store>) {
    let everywhere = RevocationCause::LogoutEverywhere;
    let alices = |before, cause| revocation(user_target("alice", at(before), None), cause, at(before));
    let first = alices(10, everywhere);
    for revocation in [
        first.clone(),
        alices(12, everywhere),
        Revocation { forget_at: at(5000), ..alices(11, everywhere) },
        alices(10, RevocationCause::PasswordChanged),
        revocation(user_target("Alice", at(10), None), everywhere, at(10)),
    ] {
        assert_eq!(revoke(&*store, &revocation).await, std::slice::from_ref(&revocation));
    }
    let merged = Revocation { target: user_target("alice", at(12), None), forget_at: at(5000), ..first };
    let others = [
        alices(10, RevocationCause::PasswordChanged),
        revocation(user_target("Alice", at(10), None), everywhere, at(10)),
    ];
    assert_eq!(remembered(&*store).await, [&[merged], &others[..]].concat());
}
