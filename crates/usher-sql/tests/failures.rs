//! What the store does when its file fails it: an error, never a panic and never a wrong answer (req D9, O6).

mod common;
mod faults;

use std::fs;

use common::{Place, whole};
use usher_auth::revocation::RevocationCause;
use usher_sql::SqlStore;
use usher_store::conformance::fixtures::{
    add_api_key, api_key, at, refresh_token, revocation, secret, session, session_id, session_target, user, user_id,
};
use usher_store::{ApiKeyStore, RefreshTokenStore, RevocationStore, SessionStore, Store, UserStore};

/// A store with one of each.
async fn filled(place: &Place) -> SqlStore {
    let store = place.open().await;
    store.create_user(&user("alice"), None).await.expect("the store works");
    let session = session("session", "alice", at(0));
    store.create_session(&session).await.expect("the store works");
    store.create_refresh_token(&refresh_token("refresh", &session)).await.expect("the store works");
    add_api_key(&store, &api_key("key", "alice")).await;
    let logout = revocation(session_target("gone"), RevocationCause::Logout, at(1));
    store.revoke(&logout).await.expect("the store works");
    store
}

async fn assert_unusable(store: &SqlStore, why: &str) {
    let logout = revocation(session_target("session"), RevocationCause::Logout, at(1));
    let errors = [
        store.check().await.expect_err("not ready"),
        store.revoke(&logout).await.expect_err("not durable, so not acknowledged"),
        store.create_session(&session("new", "alice", at(0))).await.expect_err("not durable"),
        store.user(&user_id("alice")).await.expect_err("stale"),
        store.session_by_secret(&secret("session")).await.expect_err("stale"),
        store.revocations().await.expect_err("stale"),
    ];
    for error in errors {
        assert!(whole(&error).contains(why), "{}", whole(&error));
    }
}

#[tokio::test]
async fn a_directory_that_is_removed_is_noticed() {
    let place = Place::new();
    let store = filled(&place).await;
    fs::remove_dir_all(place.directory.path()).expect("it is ours");
    assert_unusable(&store, "removed or replaced").await;
}

#[tokio::test]
async fn a_file_that_is_replaced_is_noticed() {
    let place = Place::new();
    let backup = Place::new();
    backup.open().await.close().await;
    let store = filled(&place).await;
    fs::rename(&backup.file, &place.file).expect("on the same file system");
    assert_unusable(&store, "removed or replaced").await;
}

#[tokio::test]
async fn a_closed_store_answers_with_errors() {
    let place = Place::new();
    let store = filled(&place).await;
    store.close().await;
    assert_unusable(&store, "closed").await;
}

#[tokio::test]
async fn a_table_that_is_gone_is_an_error() {
    let place = Place::new();
    let store = filled(&place).await;
    place.meddle("DROP TABLE revocations").await;
    let logout = revocation(session_target("session"), RevocationCause::Logout, at(1));
    store.revoke(&logout).await.expect_err("there is nowhere to remember it");
    store.revocations().await.expect_err("that there are none would be a lie");
    let session = store.session(&session_id("session")).await.expect("the rest works");
    assert!(session.is_some(), "a revocation that failed has removed nothing");
}

/// What a row is broken with, and the words that say so. Checks are the schema's too: they are switched off for this.
const BROKEN: [(&str, &str, &str); 14] = [
    ("user", "UPDATE users SET id = 'a b'", "the column id holds no valid id"),
    ("user", "UPDATE users SET id = ''", "the column id holds no valid id"),
    ("user", "UPDATE users SET roles = 'user ad' || char(1) || 'min'", "the column roles holds no valid id"),
    ("user", "UPDATE users SET created_at = -1", "the column created_at holds no valid time"),
    ("user", "UPDATE users SET created_at = 253402300799001", "the column created_at holds no valid time"),
    ("session", "UPDATE sessions SET secret_hash = x'0102'", "the column secret_hash does not hold 32 bytes"),
    ("session", "UPDATE sessions SET user_id = x'0a' || ''", "the column user_id holds no valid id"),
    ("refresh", "UPDATE refresh_tokens SET spent_at = 1", "the column successor_hash is empty"),
    ("refresh", "UPDATE refresh_tokens SET expires_at = -5", "the column expires_at holds no valid time"),
    ("key", "UPDATE api_keys SET expires_at = 9223372036854775807", "the column expires_at holds no valid time"),
    ("revocation", "UPDATE revocations SET cause = 'whim'", "the column cause holds a word"),
    ("revocation", "UPDATE revocations SET kind = 'planet'", "the column kind holds a word"),
    ("revocation", "UPDATE revocations SET kind = 'user'", "the column issued_before is empty"),
    ("revocation", "UPDATE revocations SET kind = 'token', issuer = ''", "the column issuer holds no valid id"),
];

#[tokio::test]
async fn a_broken_row_is_an_error_and_not_a_panic() {
    for (what, statement, expected) in BROKEN {
        let place = Place::new();
        let store = filled(&place).await;
        let mut other = place.connect().await;
        sqlx::raw_sql("PRAGMA ignore_check_constraints = ON").execute(&mut other).await.expect("it is a pragma");
        sqlx::raw_sql(statement).execute(&mut other).await.expect("the statement runs");
        let error = match what {
            "user" => store.users(None, 10).await.expect_err(statement),
            "session" => store.session(&session_id("session")).await.expect_err(statement),
            "refresh" => store.refresh_token(&secret("refresh")).await.expect_err(statement),
            "key" => store.api_keys(None).await.expect_err(statement),
            _ => store.revocations().await.expect_err(statement),
        };
        assert!(whole(&error).contains(expected), "{statement}: {}", whole(&error));
    }
}

#[tokio::test]
async fn a_call_that_is_given_up_leaves_nothing_half_done() {
    // A client that goes away drops the future at any point; the next one must find the writer free and the rows whole.
    let place = Place::new();
    let store = filled(&place).await;
    for turns in 0..60 {
        let logout = revocation(session_target(&format!("s-{turns}")), RevocationCause::Logout, at(1));
        store.create_session(&session(&format!("s-{turns}"), "alice", at(0))).await.expect("the store works");
        {
            let mut call = std::pin::pin!(store.revoke(&logout));
            for _ in 0..turns {
                let polled = std::future::poll_fn(|context| std::task::Poll::Ready(call.as_mut().poll(context))).await;
                if polled.is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        // Whatever the call had sent to the file is done once the next write is.
        store.touch_session(&session_id("session"), at(2)).await.expect("the writer is free");
        let there = store.session(&session_id(&format!("s-{turns}"))).await.expect("the store works").is_some();
        let listed = store.revocations().await.expect("the store works").contains(&logout);
        assert_ne!(there, listed, "after {turns} turns");
    }
}
