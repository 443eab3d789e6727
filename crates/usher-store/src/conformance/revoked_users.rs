//! Revocations of users.

use std::sync::Arc;

use usher_auth::UnixTime;
use usher_auth::revocation::{Revocation, RevocationCause};
use usher_auth::session::Session;

use super::fixtures::{
    api_key, at, refresh_token, revocation, secret, session, session_id, session_target, user, user_id, user_target,
};
use crate::Store;

#[doc(hidden)]
pub const SOURCE: &str = include_str!("revoked_users.rs");

async fn revoke(store: &dyn Store, revocation: &Revocation) -> Vec<Revocation> {
    store.revoke(revocation).await.expect("the store works")
}

async fn remembered(store: &dyn Store) -> Vec<Revocation> {
    store.revocations(UnixTime::EPOCH).await.expect("the store works")
}

async fn create(store: &dyn Store, session: &Session) {
    store.create_session(session).await.expect("the store works");
    let token = refresh_token(&format!("{}-refresh", session.id), session);
    store.create_refresh_token(&token).await.expect("the store works");
}

async fn ids_of(store: &dyn Store, user: &str) -> Vec<String> {
    let sessions = store.sessions_of(&user_id(user)).await.expect("the store works");
    sessions.into_iter().map(|session| session.id.to_string()).collect()
}

fn also(revocation: &Revocation, session: &str) -> Revocation {
    Revocation { target: session_target(session), ..revocation.clone() }
}

/// Each session that ends is revoked by its id besides, because an access token's `iat` is too coarse to tell those of one second
/// apart (req H3, L5).
pub async fn a_user_is_revoked_up_to_a_moment_and_but_one_session(store: Arc<dyn Store>) {
    store.create_user(&user("alice"), None).await.expect("the store works");
    let just_before = UnixTime::from_millis(at(10).as_millis() - 1);
    create(&*store, &session("before", "alice", just_before)).await;
    create(&*store, &session("at", "alice", at(10))).await;
    create(&*store, &session("Early", "alice", UnixTime::EPOCH)).await;
    create(&*store, &session("kept", "alice", at(5))).await;
    create(&*store, &session("bobs", "bob", at(5))).await;
    store.create_api_key(&api_key("key", "alice")).await.expect("the store works");

    let changed = revocation(user_target("alice", at(10), Some("kept")), RevocationCause::PasswordChanged, at(10));
    let all = [changed.clone(), also(&changed, "Early"), also(&changed, "before")];
    assert_eq!(revoke(&*store, &changed).await, all);
    assert_eq!(remembered(&*store).await, all);
    for (id, there) in [("before", false), ("at", true), ("Early", false), ("kept", true), ("bobs", true)] {
        assert_eq!(store.session_by_secret(&secret(id)).await.expect("the store works").is_some(), there, "{id}");
        let token = store.refresh_token(&secret(&format!("{id}-refresh"))).await.expect("the store works");
        assert_eq!(token.is_some(), there, "{id}");
    }
    assert!(store.api_key_by_secret(&secret("key")).await.expect("the store works").is_some());
    assert!(store.user(&user_id("alice")).await.expect("the store works").is_some());

    assert_eq!(revoke(&*store, &changed).await, [changed], "there is no more to end");
    assert_eq!(remembered(&*store).await, all);
}

/// Disabled: everything, also what is to come.
pub async fn other_roles_end_no_session(store: Arc<dyn Store>) {
    store.create_user(&user("alice"), None).await.expect("the store works");
    create(&*store, &session("one", "alice", at(5))).await;
    store.create_api_key(&api_key("key", "alice")).await.expect("the store works");
    let changed = revocation(user_target("alice", at(10), None), RevocationCause::RolesChanged, at(10));
    let remembers = [changed];
    assert_eq!(revoke(&*store, &remembers[0]).await, remembers);
    assert_eq!(remembered(&*store).await, remembers);
    assert_eq!(ids_of(&*store, "alice").await, ["one"]);
    assert!(store.api_key_by_secret(&secret("key")).await.expect("the store works").is_some());
}

/// MAX.
pub async fn a_user_is_revoked_without_end(store: Arc<dyn Store>) {
    for (id, created) in [("one", UnixTime::EPOCH), ("two", at(10)), ("three", at(1_000_000))] {
        create(&*store, &session(id, "alice", created)).await;
    }
    let target = user_target("alice", UnixTime::MAX, None);
    let disabled = Revocation { forget_at: UnixTime::MAX, ..revocation(target, RevocationCause::UserDisabled, at(10)) };
    let all = [disabled.clone(), also(&disabled, "one"), also(&disabled, "three"), also(&disabled, "two")];
    assert_eq!(revoke(&*store, &disabled).await, all);
    assert!(ids_of(&*store, "alice").await.is_empty());
    assert_eq!(store.reap_revocations(at(1_000_000_000)).await.expect("the store works"), 0);
    assert_eq!(remembered(&*store).await, all);
}

/// Logging out everywhere ends log-ins; the programs that have a key go on.
pub async fn api_keys_end_with_their_user_and_not_before(store: Arc<dyn Store>) {
    for id in ["one", "two"] {
        store.create_api_key(&api_key(id, "alice")).await.expect("the store works");
    }
    let newer = usher_auth::api_key::ApiKey { created_at: at(20), ..api_key("newer", "alice") };
    store.create_api_key(&newer).await.expect("the store works");
    store.create_api_key(&api_key("bobs", "bob")).await.expect("the store works");
    let keys = async || {
        let keys = store.api_keys(None).await.expect("the store works");
        keys.into_iter().map(|key| key.id.to_string()).collect::<Vec<_>>()
    };
    for cause in RevocationCause::ALL.into_iter().filter(|cause| *cause != RevocationCause::UserDeleted) {
        revoke(&*store, &revocation(user_target("alice", UnixTime::MAX, None), cause, at(10))).await;
        assert_eq!(keys().await, ["bobs", "newer", "one", "two"], "{cause:?}");
    }
    let deleted = revocation(user_target("alice", at(20), None), RevocationCause::UserDeleted, at(20));
    assert_eq!(revoke(&*store, &deleted).await, [deleted]);
    assert_eq!(keys().await, ["bobs", "newer"]);
}

/// Everything else alike is the same one, kept for as long as either asks.
pub async fn two_revocations_of_a_user_differ_by_moment_exception_and_cause(store: Arc<dyn Store>) {
    let all = [
        revocation(user_target("alice", at(10), None), RevocationCause::LogoutEverywhere, at(10)),
        revocation(user_target("alice", at(11), None), RevocationCause::LogoutEverywhere, at(10)),
        revocation(user_target("alice", at(10), Some("kept")), RevocationCause::LogoutEverywhere, at(10)),
        revocation(user_target("alice", at(10), Some("other")), RevocationCause::LogoutEverywhere, at(10)),
        revocation(user_target("alice", at(10), None), RevocationCause::PasswordChanged, at(10)),
        revocation(user_target("Alice", at(10), None), RevocationCause::LogoutEverywhere, at(10)),
    ];
    for revocation in all.iter().chain(&all) {
        assert_eq!(revoke(&*store, revocation).await, std::slice::from_ref(revocation));
    }
    assert_eq!(remembered(&*store).await, all);
    let longer = Revocation { at: at(12), forget_at: at(5000), ..all[2].clone() };
    assert_eq!(revoke(&*store, &longer).await, [longer]);
    let mut expected = all.to_vec();
    expected[2].forget_at = at(5000);
    assert_eq!(remembered(&*store).await, expected);
}

/// Not other causes, not other users, and not the sessions that were removed.
pub async fn lifting_forgets_what_one_cause_did_to_one_user(store: Arc<dyn Store>) {
    create(&*store, &session("s", "alice", at(0))).await;
    let disabled = |user, before| revocation(user_target(user, before, None), RevocationCause::UserDisabled, at(10));
    let kept = [
        revocation(user_target("alice", at(10), None), RevocationCause::PasswordChanged, at(10)),
        disabled("alicia", UnixTime::MAX),
        revocation(session_target("t"), RevocationCause::UserDisabled, at(10)),
    ];
    let of_session = also(&disabled("alice", UnixTime::MAX), "s");
    revoke(&*store, &disabled("alice", UnixTime::MAX)).await;
    revoke(&*store, &disabled("alice", at(10))).await;
    for revocation in &kept {
        revoke(&*store, revocation).await;
    }
    let lift = async || {
        let lifted = store.lift_revocations(&user_id("alice"), RevocationCause::UserDisabled).await;
        lifted.expect("the store works")
    };
    assert_eq!(lift().await, 2);
    let [changed, other, session] = kept;
    assert_eq!(remembered(&*store).await, [of_session.clone(), changed.clone(), other.clone(), session.clone()]);
    assert_eq!(store.session(&session_id("s")).await.expect("the store works"), None);
    assert_eq!(lift().await, 0);
    let again = disabled("alice", UnixTime::MAX);
    revoke(&*store, &again).await;
    assert_eq!(remembered(&*store).await, [of_session, changed, other, session, again], "it can happen anew");
}
