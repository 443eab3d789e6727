//! Users.

use std::sync::Arc;

use usher_auth::UnixTime;
use usher_auth::revocation::RevocationCause;
use usher_auth::user::{PasswordHash, User};

use super::at_once;
use super::fixtures::{
    api_key, at, refresh_token, revocation, roles, secret, session, session_id, session_target, user, user_id,
};
use crate::{CreateUser, Store};

#[doc(hidden)]
pub const SOURCE: &str = include_str!("users.rs");

fn password(text: &str) -> PasswordHash {
    PasswordHash::from_phc(format!("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA${text}"))
}

async fn ids(store: &dyn Store, after: Option<&str>, limit: u32) -> Vec<String> {
    let page = store.users(after.map(user_id).as_ref(), limit).await.expect("the store works");
    page.into_iter().map(|user| user.id.to_string()).collect()
}

/// Everything about a user comes back, with and without a password, whatever is in it.
pub async fn a_user_is_found_again(store: Arc<dyn Store>) {
    let odd_name = "Ålice \"'; DROP TABLE users; --\n\u{202e}\u{1f600} %s {} ?1 $1";
    let cases = [
        (user("alice"), Some(password("YQ"))),
        (User { name: String::new(), roles: Vec::new(), disabled: true, ..user("bob") }, None),
        (User { name: odd_name.to_owned(), created_at: UnixTime::EPOCH, ..user("zoë-\u{1f600}-名") }, None),
        (
            User { created_at: UnixTime::MAX, roles: roles(&["admin", "ops:eu", "user"]), ..user(&"x".repeat(256)) },
            None,
        ),
    ];
    for (user, password) in &cases {
        let created = store.create_user(user, password.as_ref()).await.expect("the store works");
        assert_eq!(created, CreateUser::Created);
    }
    for (user, password) in cases {
        assert_eq!(store.user(&user.id).await.expect("the store works"), Some(user.clone()));
        let found = store.user_with_password(&user.id).await.expect("the store works");
        assert_eq!(found, Some((user, password)));
    }
    store.check().await.expect("the store works");
}

/// Adding somebody who is there changes nothing.
pub async fn a_user_is_added_once(store: Arc<dyn Store>) {
    let first = user("alice");
    store.create_user(&first, Some(&password("YQ"))).await.expect("the store works");
    store.create_session(&session("s", "alice", at(0))).await.expect("the store works");
    let second = User { name: "Mallory".to_owned(), roles: roles(&["admin"]), ..first.clone() };
    let created = store.create_user(&second, Some(&password("Yg"))).await.expect("the store works");
    assert_eq!(created, CreateUser::Exists);
    let found = store.user_with_password(&first.id).await.expect("the store works");
    assert_eq!(found, Some((first, Some(password("YQ")))));
    assert!(store.session(&session_id("s")).await.expect("the store works").is_some());
}

/// Of two who take one name at once, one gets it.
pub async fn of_many_adding_one_user_exactly_one_does(store: Arc<dyn Store>) {
    let outcomes = at_once(20, |n| {
        let store = store.clone();
        let user = User { name: n.to_string(), ..user("alice") };
        async move { (n, store.create_user(&user, None).await.expect("the store works")) }
    })
    .await;
    let winners: Vec<usize> =
        outcomes.into_iter().filter(|(_, outcome)| *outcome == CreateUser::Created).map(|(n, _)| n).collect();
    assert_eq!(winners.len(), 1);
    let found = store.user(&user_id("alice")).await.expect("the store works").expect("somebody won");
    assert_eq!(found.name, winners[0].to_string());
}

/// Nothing is there, nothing is changed, nothing is made.
pub async fn nobody_is_found_under_an_unknown_id(store: Arc<dyn Store>) {
    let nobody = user_id("nobody");
    assert_eq!(store.user(&nobody).await.expect("the store works"), None);
    assert_eq!(store.user_with_password(&nobody).await.expect("the store works"), None);
    assert!(!store.set_password(&nobody, &password("YQ")).await.expect("the store works"));
    assert!(!store.set_roles(&nobody, &roles(&["admin"])).await.expect("the store works"));
    assert!(!store.set_disabled(&nobody, true).await.expect("the store works"));
    assert!(!store.delete_user(&nobody).await.expect("the store works"));
    assert!(ids(&*store, None, 10).await.is_empty());
}

/// Case, Unicode normalisation and wildcards make another id: an id is what its bytes are.
pub async fn ids_are_compared_byte_by_byte(store: Arc<dyn Store>) {
    let names = ["zo\u{eb}", "zoe\u{308}", "zoe", "ZOE", "zo%", "zo_", "'zoe'", "zoe'--"];
    for name in names {
        assert_eq!(store.create_user(&user(name), None).await.expect("the store works"), CreateUser::Created, "{name}");
    }
    for name in names {
        let found = store.user(&user_id(name)).await.expect("the store works").expect("it was added");
        assert_eq!(found.id.as_str(), name);
    }
    assert!(store.set_disabled(&user_id("zo%"), true).await.expect("the store works"));
    let disabled = store.users(None, 100).await.expect("the store works").into_iter().filter(|user| user.disabled);
    assert_eq!(disabled.map(|user| user.id).collect::<Vec<_>>(), [user_id("zo%")]);
}

/// Pages follow one another by the bytes of the id, whatever the order of adding, and whether or not `after` is there.
pub async fn users_are_listed_in_pages_by_id(store: Arc<dyn Store>) {
    assert!(ids(&*store, None, 10).await.is_empty());
    for id in ["b", "é", "B", "a", "\u{1f600}", "aa", "\u{fffd}"] {
        store.create_user(&user(id), None).await.expect("the store works");
    }
    assert_eq!(ids(&*store, None, u32::MAX).await, ["B", "a", "aa", "b", "é", "\u{fffd}", "\u{1f600}"]);
    assert_eq!(ids(&*store, None, 3).await, ["B", "a", "aa"]);
    assert_eq!(ids(&*store, Some("aa"), 3).await, ["b", "é", "\u{fffd}"]);
    assert_eq!(ids(&*store, Some("ab"), 2).await, ["b", "é"]);
    assert_eq!(ids(&*store, Some("\u{fffd}"), 3).await, ["\u{1f600}"]);
    assert!(ids(&*store, Some("\u{1f600}"), 3).await.is_empty());
    assert!(ids(&*store, None, 0).await.is_empty());
}

/// One who had none gets one, and it is replaced.
pub async fn a_password_is_set(store: Arc<dyn Store>) {
    for id in ["alice", "bob"] {
        store.create_user(&user(id), None).await.expect("the store works");
    }
    for text in ["YQ", "Yg"] {
        assert!(store.set_password(&user_id("alice"), &password(text)).await.expect("the store works"));
        let found = store.user_with_password(&user_id("alice")).await.expect("the store works");
        assert_eq!(found, Some((user("alice"), Some(password(text)))));
    }
    let other = store.user_with_password(&user_id("bob")).await.expect("the store works");
    assert_eq!(other, Some((user("bob"), None)));
}

/// A better hash of the same password takes the place of the one it was made from, and of no other.
pub async fn a_hash_is_upgraded_only_from_what_it_was(store: Arc<dyn Store>) {
    store.create_user(&user("alice"), Some(&password("YQ"))).await.expect("the store works");
    store.create_user(&user("bob"), None).await.expect("the store works");
    let upgrade = async |id: &str, old: &str, new: &str| {
        store.upgrade_password_hash(&user_id(id), &password(old), &password(new)).await.expect("the store works")
    };
    assert!(upgrade("alice", "YQ", "Yg").await);
    assert!(!upgrade("alice", "YQ", "Yw").await, "the password was changed meanwhile");
    assert!(!upgrade("bob", "YQ", "Yw").await, "who has no password gets none");
    assert!(!upgrade("nobody", "YQ", "Yw").await);
    let found = store.user_with_password(&user_id("alice")).await.expect("the store works");
    assert_eq!(found, Some((user("alice"), Some(password("Yg")))));
}

/// At creation and later.
pub async fn roles_are_set_sorted_and_without_repetition(store: Arc<dyn Store>) {
    let jumbled = User { roles: roles(&["user", "admin", "user"]), ..user("alice") };
    store.create_user(&jumbled, None).await.expect("the store works");
    store.create_user(&user("bob"), None).await.expect("the store works");
    let found = async |id| store.user(&user_id(id)).await.expect("the store works").expect("it was added").roles;
    assert_eq!(found("alice").await, roles(&["admin", "user"]));
    assert!(store.set_roles(&user_id("alice"), &roles(&["z", "é", "a", "z"])).await.expect("the store works"));
    assert_eq!(found("alice").await, roles(&["a", "z", "é"]));
    assert!(store.set_roles(&user_id("alice"), &[]).await.expect("the store works"));
    assert_eq!(found("alice").await, []);
    assert_eq!(found("bob").await, roles(&["user"]));
}

/// There and back; doing it twice is no error.
pub async fn a_user_is_disabled_and_enabled(store: Arc<dyn Store>) {
    for id in ["alice", "bob"] {
        store.create_user(&user(id), None).await.expect("the store works");
    }
    for disabled in [true, true, false] {
        assert!(store.set_disabled(&user_id("alice"), disabled).await.expect("the store works"));
        let found = store.user(&user_id("alice")).await.expect("the store works").expect("it was added");
        assert_eq!(found.disabled, disabled);
        let other = store.user(&user_id("bob")).await.expect("the store works").expect("it was added");
        assert!(!other.disabled);
    }
}

/// Sessions, refresh tokens and API keys go, other people's stay, and so do the revocations.
pub async fn deleting_a_user_removes_what_is_theirs(store: Arc<dyn Store>) {
    for id in ["alice", "bob"] {
        store.create_user(&user(id), Some(&password("YQ"))).await.expect("the store works");
        let session = session(&format!("{id}-session"), id, at(0));
        store.create_session(&session).await.expect("the store works");
        let token = refresh_token(&format!("{id}-refresh"), &session);
        store.create_refresh_token(&token).await.expect("the store works");
        store.create_api_key(&api_key(&format!("{id}-key"), id)).await.expect("the store works");
    }
    let revoked = revocation(session_target("alice-earlier"), RevocationCause::Logout, at(1));
    store.revoke(&revoked).await.expect("the store works");

    assert!(store.delete_user(&user_id("alice")).await.expect("the store works"));
    assert!(!store.delete_user(&user_id("alice")).await.expect("the store works"));
    for (id, there) in [("alice", false), ("bob", true)] {
        let hash = |what: &str| secret(&format!("{id}-{what}"));
        assert_eq!(store.user_with_password(&user_id(id)).await.expect("the store works").is_some(), there);
        assert_eq!(store.session_by_secret(&hash("session")).await.expect("the store works").is_some(), there);
        assert_eq!(store.sessions_of(&user_id(id)).await.expect("the store works").len(), usize::from(there));
        assert_eq!(store.refresh_token(&hash("refresh")).await.expect("the store works").is_some(), there);
        assert_eq!(store.api_key_by_secret(&hash("key")).await.expect("the store works").is_some(), there);
        assert_eq!(store.api_keys(Some(&user_id(id))).await.expect("the store works").len(), usize::from(there));
    }
    assert_eq!(store.revocations(at(2)).await.expect("the store works"), [revoked]);
}

/// A session or key that came into being while its user was being removed does not open the door to the next of that name.
pub async fn a_new_user_begins_with_nothing(store: Arc<dyn Store>) {
    let left_behind = session("s", "alice", at(0));
    store.create_session(&left_behind).await.expect("the store works");
    store.create_refresh_token(&refresh_token("r", &left_behind)).await.expect("the store works");
    store.create_api_key(&api_key("k", "alice")).await.expect("the store works");
    store.create_session(&session("other", "bob", at(0))).await.expect("the store works");

    assert_eq!(store.create_user(&user("alice"), None).await.expect("the store works"), CreateUser::Created);
    assert_eq!(store.session(&session_id("s")).await.expect("the store works"), None);
    assert_eq!(store.refresh_token(&secret("r")).await.expect("the store works"), None);
    assert_eq!(store.api_key_by_secret(&secret("k")).await.expect("the store works"), None);
    assert!(store.session(&session_id("other")).await.expect("the store works").is_some());
}
