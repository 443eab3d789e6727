//! API keys.

use std::sync::Arc;

use usher_auth::UnixTime;
use usher_auth::api_key::ApiKey;

use super::at_once;
use super::fixtures::{add_api_key, api_key, at, secret, times, user, user_id};
use crate::{CreateApiKey, Store, UserChange};

#[doc(hidden)]
pub const SOURCE: &str = include_str!("api_keys.rs");

async fn listed(store: &dyn Store, user: Option<&str>) -> Vec<String> {
    let keys = store.api_keys(user.map(user_id).as_ref()).await.expect("the store works");
    keys.into_iter().map(|key| key.id.to_string()).collect()
}

/// Everything about a key comes back.
pub async fn an_api_key_is_found_again(store: Arc<dyn Store>) {
    let cases = [
        api_key("one", "alice"),
        ApiKey { label: String::new(), expires_at: Some(at(100)), ..api_key("two", "alice") },
        ApiKey { created_at: UnixTime::EPOCH, expires_at: Some(UnixTime::MAX), ..api_key("k\u{1f600}", "zoë") },
        ApiKey { label: "\"'; --\n\u{202e}é".to_owned(), created_at: UnixTime::MAX, ..api_key("'--", "'--") },
    ];
    for key in &cases {
        add_api_key(&*store, key).await;
    }
    for key in cases {
        assert_eq!(store.api_key_by_secret(&key.secret).await.expect("the store works"), Some(key.clone()));
        assert_eq!(store.api_key(&key.id).await.expect("the store works"), Some(key.clone()));
        let theirs = store.api_keys(Some(&key.user)).await.expect("the store works");
        assert!(theirs.contains(&key), "{key:?}");
    }
    assert_eq!(store.api_key_by_secret(&secret("three")).await.expect("the store works"), None);
    assert_eq!(store.api_key(&api_key("three", "alice").id).await.expect("the store works"), None);
}

/// And the first one stays as it was.
pub async fn a_second_api_key_of_the_same_id_or_secret_is_an_error(store: Arc<dyn Store>) {
    let first = api_key("one", "alice");
    add_api_key(&*store, &first).await;
    store.create_user(&user("mallory"), None).await.expect("the store works");
    let same_id = ApiKey { secret: secret("other"), ..api_key("one", "mallory") };
    let same_secret = ApiKey { secret: secret("one"), ..api_key("two", "mallory") };
    store.create_api_key(&same_id, 9).await.expect_err("the id is taken");
    store.create_api_key(&same_secret, 9).await.expect_err("the secret is taken");
    assert_eq!(store.api_key_by_secret(&secret("one")).await.expect("the store works"), Some(first));
    assert_eq!(store.api_key_by_secret(&secret("other")).await.expect("the store works"), None);
    assert_eq!(listed(&*store, None).await, ["one"]);
}

/// One user's or everybody's, by the bytes of the id.
pub async fn api_keys_are_listed_by_id(store: Arc<dyn Store>) {
    assert!(listed(&*store, None).await.is_empty());
    for (id, user) in [("c", "alice"), ("a", "bob"), ("b", "alice"), ("B", "alice"), ("d", "Alice")] {
        add_api_key(&*store, &api_key(id, user)).await;
    }
    assert_eq!(listed(&*store, None).await, ["B", "a", "b", "c", "d"]);
    assert_eq!(listed(&*store, Some("alice")).await, ["B", "b", "c"]);
    assert!(listed(&*store, Some("nobody")).await.is_empty());
}

/// A user of ours, who is not disabled and has not as many as one may have; also when many are made at once.
pub async fn an_api_key_needs_a_user_with_room_for_it(store: Arc<dyn Store>) {
    let create = async |id: &str, user: &str, most: usize| {
        store.create_api_key(&api_key(id, user), most).await.expect("the store works")
    };
    assert_eq!(create("one", "alice", 9).await, CreateApiKey::NoSuchUser);
    for id in ["alice", "bob"] {
        store.create_user(&user(id), None).await.expect("the store works");
    }
    assert_eq!(create("bobs", "bob", 1).await, CreateApiKey::Created);
    let outcomes = at_once(10, |n| {
        let store = store.clone();
        async move { store.create_api_key(&api_key(&n.to_string(), "alice"), 3).await.expect("the store works") }
    })
    .await;
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == CreateApiKey::Created).count(), 3);
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == CreateApiKey::TooMany).count(), 7);
    assert_eq!(listed(&*store, Some("alice")).await.len(), 3);
    store.change_user(&user_id("bob"), &UserChange::Disable, times(at(1))).await.expect("the store works");
    assert_eq!(create("more", "bob", 9).await, CreateApiKey::Disabled);
    assert_eq!(listed(&*store, Some("bob")).await, ["bobs"], "those there are stay");
}
