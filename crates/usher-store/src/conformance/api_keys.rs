//! API keys.

use std::sync::Arc;

use usher_auth::UnixTime;
use usher_auth::api_key::ApiKey;

use super::fixtures::{api_key, at, secret, user_id};
use crate::Store;

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
        ApiKey { label: "\"'; --\n\u{202e}é".to_owned(), created_at: UnixTime::MAX, ..api_key("'--", "google:117") },
    ];
    for key in &cases {
        store.create_api_key(key).await.expect("the store works");
    }
    for key in cases {
        assert_eq!(store.api_key_by_secret(&key.secret).await.expect("the store works"), Some(key.clone()));
        let theirs = store.api_keys(Some(&key.user)).await.expect("the store works");
        assert!(theirs.contains(&key), "{key:?}");
    }
    assert_eq!(store.api_key_by_secret(&secret("three")).await.expect("the store works"), None);
}

/// And the first one stays as it was.
pub async fn a_second_api_key_of_the_same_id_or_secret_is_an_error(store: Arc<dyn Store>) {
    let first = api_key("one", "alice");
    store.create_api_key(&first).await.expect("the store works");
    let same_id = ApiKey { secret: secret("other"), ..api_key("one", "mallory") };
    let same_secret = ApiKey { secret: secret("one"), ..api_key("two", "mallory") };
    store.create_api_key(&same_id).await.expect_err("the id is taken");
    store.create_api_key(&same_secret).await.expect_err("the secret is taken");
    assert_eq!(store.api_key_by_secret(&secret("one")).await.expect("the store works"), Some(first));
    assert_eq!(store.api_key_by_secret(&secret("other")).await.expect("the store works"), None);
    assert_eq!(listed(&*store, None).await, ["one"]);
}

/// One user's or everybody's, by the bytes of the id.
pub async fn api_keys_are_listed_by_id(store: Arc<dyn Store>) {
    assert!(listed(&*store, None).await.is_empty());
    for (id, user) in [("c", "alice"), ("a", "bob"), ("b", "alice"), ("B", "alice"), ("d", "Alice")] {
        store.create_api_key(&api_key(id, user)).await.expect("the store works");
    }
    assert_eq!(listed(&*store, None).await, ["B", "a", "b", "c", "d"]);
    assert_eq!(listed(&*store, Some("alice")).await, ["B", "b", "c"]);
    assert!(listed(&*store, Some("nobody")).await.is_empty());
}
