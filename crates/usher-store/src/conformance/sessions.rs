//! Sessions.

use std::sync::Arc;

use usher_auth::UnixTime;
use usher_auth::session::Session;

use super::at_once;
use super::fixtures::{at, refresh_token, secret, session, session_id, user_id};
use crate::Store;

#[doc(hidden)]
pub const SOURCE: &str = include_str!("sessions.rs");

async fn ids_of(store: &dyn Store, user: &str) -> Vec<String> {
    let sessions = store.sessions_of(&user_id(user), None, u32::MAX).await.expect("the store works");
    sessions.into_iter().map(|session| session.id.to_string()).collect()
}

/// Everything about a session comes back, by both keys; its user may be an issuer's.
pub async fn a_session_is_found_by_id_and_by_secret(store: Arc<dyn Store>) {
    let cases = [
        session("one", "alice", at(0)),
        Session { client_ip: None, user_agent: None, ..session("two", "google:117", at(5)) },
        Session { last_seen_at: UnixTime::MAX, ..session("ses_\u{e9}\u{1f600}", "zoë", UnixTime::EPOCH) },
        Session { user_agent: Some("\"'\\\u{202e}é".to_owned()), ..session("'--", "alice", UnixTime::MAX) },
    ];
    for session in &cases {
        store.create_session(session).await.expect("the store works");
    }
    for session in cases {
        assert_eq!(store.session(&session.id).await.expect("the store works"), Some(session.clone()));
        assert_eq!(store.session_by_secret(&session.secret).await.expect("the store works"), Some(session));
    }
    assert_eq!(store.session(&session_id("three")).await.expect("the store works"), None);
    assert_eq!(store.session_by_secret(&secret("three")).await.expect("the store works"), None);
}

/// The first one stays as it was: a session that was not issued here is never adopted (req J1).
pub async fn a_second_session_of_the_same_id_or_secret_is_an_error(store: Arc<dyn Store>) {
    let first = session("one", "alice", at(0));
    store.create_session(&first).await.expect("the store works");
    let same_id = Session { secret: secret("other"), ..session("one", "mallory", at(1)) };
    let same_secret = Session { secret: secret("one"), ..session("two", "mallory", at(1)) };
    store.create_session(&same_id).await.expect_err("the id is taken");
    store.create_session(&same_secret).await.expect_err("the secret is taken");
    assert_eq!(store.session_by_secret(&secret("one")).await.expect("the store works"), Some(first.clone()));
    assert_eq!(store.session(&first.id).await.expect("the store works"), Some(first));
    assert_eq!(store.session_by_secret(&secret("other")).await.expect("the store works"), None);
    assert!(ids_of(&*store, "mallory").await.is_empty());
}

/// Theirs alone, by the bytes of the id, in pages.
pub async fn a_users_sessions_are_listed_by_id(store: Arc<dyn Store>) {
    for (id, user) in [("c", "alice"), ("a", "alice"), ("b", "bob"), ("B", "alice"), ("d", "alic"), ("e", "Alice")] {
        store.create_session(&session(id, user, at(0))).await.expect("the store works");
    }
    assert_eq!(ids_of(&*store, "alice").await, ["B", "a", "c"]);
    assert!(ids_of(&*store, "nobody").await.is_empty());
    let page = async |after: Option<&str>, limit| {
        let after = after.map(session_id);
        let found = store.sessions_of(&user_id("alice"), after.as_ref(), limit).await.expect("the store works");
        found.into_iter().map(|session| session.id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(page(None, 2).await, ["B", "a"]);
    assert_eq!(page(Some("a"), 2).await, ["c"]);
    assert_eq!(page(Some("b"), 2).await, ["c"]);
    assert!(page(Some("c"), 2).await.is_empty());
    assert!(page(None, 0).await.is_empty());
}

/// req J4
pub async fn touching_moves_forward_and_never_back(store: Arc<dyn Store>) {
    let untouched = session("other", "alice", at(0));
    store.create_session(&untouched).await.expect("the store works");
    store.create_session(&session("one", "alice", at(10))).await.expect("the store works");
    for (seen, expected) in [(at(20), at(20)), (at(15), at(20)), (at(20), at(20)), (UnixTime::MAX, UnixTime::MAX)] {
        assert!(store.touch_session(&session_id("one"), seen).await.expect("the store works"));
        let found = store.session(&session_id("one")).await.expect("the store works").expect("it is there");
        assert_eq!(found, Session { last_seen_at: expected, ..session("one", "alice", at(10)) });
    }
    assert_eq!(store.session(&untouched.id).await.expect("the store works"), Some(untouched));
    assert!(!store.touch_session(&session_id("none"), at(20)).await.expect("the store works"));
    assert_eq!(store.session(&session_id("none")).await.expect("the store works"), None);
}

/// Whoever comes last.
pub async fn of_many_touches_at_once_the_latest_stays(store: Arc<dyn Store>) {
    store.create_session(&session("one", "alice", at(0))).await.expect("the store works");
    let seconds = [7, 3, 19, 11, 2, 17, 5, 13];
    let touched = at_once(seconds.len(), |n| {
        let store = store.clone();
        async move { store.touch_session(&session_id("one"), at(seconds[n])).await.expect("the store works") }
    })
    .await;
    assert!(touched.into_iter().all(|touched| touched));
    let found = store.session(&session_id("one")).await.expect("the store works").expect("it is there");
    assert_eq!(found.last_seen_at, at(19));
}

/// Forward only, each with its own moment, and a session that is gone stays gone (req J4, J5).
pub async fn many_sessions_are_touched_at_once(store: Arc<dyn Store>) {
    for (id, began) in [("one", 10), ("'--", 10), ("ses_\u{e9}\"\\", 10), ("untouched", 10)] {
        store.create_session(&session(id, "alice", at(began))).await.expect("the store works");
    }
    let touch = async |uses: &[(&str, i64)]| {
        let uses: Vec<_> = uses.iter().map(|(id, seen)| (session_id(id), at(*seen))).collect();
        store.touch_sessions(&uses).await.expect("the store works")
    };
    let seen = async |id: &str| {
        let found = store.session(&session_id(id)).await.expect("the store works");
        found.map(|session| session.last_seen_at)
    };
    assert_eq!(touch(&[]).await, 0);
    assert_eq!(touch(&[("one", 20), ("gone", 20), ("'--", 5), ("ses_\u{e9}\"\\", 30)]).await, 3);
    let now = [seen("one").await, seen("'--").await, seen("ses_\u{e9}\"\\").await, seen("untouched").await];
    assert_eq!(now, [Some(at(20)), Some(at(10)), Some(at(30)), Some(at(10))]);
    assert_eq!(seen("gone").await, None);
    assert_eq!(touch(&[("one", 25), ("one", 40), ("one", 35)]).await, 1, "the latest of several");
    assert_eq!(seen("one").await, Some(at(40)));
    let many: Vec<_> = (0..5_000).map(|n| (session_id(&format!("gone-{n}")), UnixTime::MAX)).collect();
    let many = [many, vec![(session_id("untouched"), UnixTime::MAX)]].concat();
    assert_eq!(store.touch_sessions(&many).await.expect("the store works"), 1);
    assert_eq!(seen("untouched").await, Some(UnixTime::MAX));
}

/// Either reason is enough, neither includes its own moment, and refresh tokens go with their session.
pub async fn reaping_removes_what_is_idle_or_old(store: Arc<dyn Store>) {
    let cases = [("idle", 50, 99), ("not-yet-idle", 50, 100), ("old", 49, 500), ("not-yet-old", 50, 500)];
    for (id, created, seen) in cases {
        let session = Session { last_seen_at: at(seen), ..session(id, "alice", at(created)) };
        store.create_session(&session).await.expect("the store works");
        let token = refresh_token(&format!("{id}-refresh"), &session);
        store.create_refresh_token(&token).await.expect("the store works");
    }
    assert_eq!(store.reap_sessions(at(100), at(50)).await.expect("the store works"), 2);
    assert_eq!(ids_of(&*store, "alice").await, ["not-yet-idle", "not-yet-old"]);
    for (id, there) in [("idle", false), ("not-yet-idle", true), ("old", false), ("not-yet-old", true)] {
        assert_eq!(store.session_by_secret(&secret(id)).await.expect("the store works").is_some(), there, "{id}");
        let token = store.refresh_token(&secret(&format!("{id}-refresh"))).await.expect("the store works");
        assert_eq!(token.is_some(), there, "{id}");
    }
    assert_eq!(store.reap_sessions(at(100), at(50)).await.expect("the store works"), 0);
    assert_eq!(store.reap_sessions(UnixTime::EPOCH, UnixTime::EPOCH).await.expect("the store works"), 0);
    assert_eq!(store.reap_sessions(UnixTime::MAX, UnixTime::EPOCH).await.expect("the store works"), 2);
}

/// For readiness.
pub async fn the_store_says_that_it_can_be_used(store: Arc<dyn Store>) {
    store.check().await.expect("an empty store can be used");
    store.create_session(&session("one", "alice", at(0))).await.expect("the store works");
    store.check().await.expect("and one with something in it");
}
