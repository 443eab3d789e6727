//! Users.

use std::sync::Arc;

use usher_auth::UnixTime;
use usher_auth::ids::{ApiKeyId, UserId};
use usher_auth::revocation::{BlockedUser, Revocation, RevocationCause, RevocationTarget};
use usher_auth::session::Session;
use usher_auth::user::{PasswordHash, User};

use super::at_once;
use super::fixtures::{
    add_api_key, api_key, at, refresh_token, revocation, roles, secret, session, session_id, session_target, times,
    user, user_id, user_target,
};
use crate::{BannedUser, ChangedUser, CreateUser, Store, UserChange};

#[doc(hidden)]
pub const SOURCE: &str = include_str!("users.rs");

fn password(text: &str) -> PasswordHash {
    PasswordHash::from_phc(format!("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA${text}"))
}

async fn change(store: &dyn Store, id: &str, change: UserChange) -> ChangedUser {
    let changed = store.change_user(&user_id(id), &change, times(at(10))).await.expect("the store works");
    changed.expect("there is such a user")
}

async fn create_session(store: &dyn Store, session: &Session) {
    store.create_session(session).await.expect("the store works");
}

fn key_target(id: &str) -> RevocationTarget {
    RevocationTarget::ApiKey(ApiKeyId::new(id).expect("a valid id"))
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
    for change in [
        UserChange::Password(password("YQ")),
        UserChange::Roles(roles(&["admin"])),
        UserChange::Disable,
        UserChange::Enable,
        UserChange::Remove,
    ] {
        create_session(&*store, &session(&format!("{change:?}")[..4], "nobody", at(0))).await;
        assert_eq!(store.change_user(&nobody, &change, times(at(1))).await.expect("the store works"), None);
    }
    assert_eq!(
        store.sessions_of(&nobody, None, 10).await.expect("the store works").len(),
        5,
        "what failed ended nothing"
    );
    assert_eq!(store.revocations().await.expect("the store works"), []);
    assert_eq!(store.blocked_users().await.expect("the store works"), []);
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
    change(&*store, "zo%", UserChange::Disable).await;
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

/// One who had none gets one, and it is replaced; sessions end with it and keys do not (req L5).
pub async fn a_password_is_set(store: Arc<dyn Store>) {
    for id in ["alice", "bob"] {
        store.create_user(&user(id), None).await.expect("the store works");
        create_session(&*store, &session(&format!("{id}-1"), id, at(0))).await;
        add_api_key(&*store, &api_key(&format!("{id}-key"), id)).await;
    }
    for (text, revoked) in [("YQ", 2), ("Yg", 1)] {
        let changed = change(&*store, "alice", UserChange::Password(password(text))).await;
        assert_eq!(changed.user, Some(user("alice")));
        let first = revocation(user_target("alice", at(10), None), RevocationCause::PasswordChanged, at(10));
        assert_eq!((changed.revoked.len(), &changed.revoked[0]), (revoked, &first));
        let found = store.user_with_password(&user_id("alice")).await.expect("the store works");
        assert_eq!(found, Some((user("alice"), Some(password(text)))));
    }
    let other = store.user_with_password(&user_id("bob")).await.expect("the store works");
    assert_eq!(other, Some((user("bob"), None)));
    for (id, sessions) in [("alice", 0), ("bob", 1)] {
        assert_eq!(store.sessions_of(&user_id(id), None, 9).await.expect("the store works").len(), sessions);
        assert_eq!(store.api_keys(Some(&user_id(id))).await.expect("the store works").len(), 1);
    }
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
    let changed = change(&*store, "alice", UserChange::Roles(roles(&["z", "é", "a", "z"]))).await;
    assert_eq!(changed.user.expect("alice").roles, roles(&["a", "z", "é"]));
    let roles_changed = revocation(user_target("alice", at(10), None), RevocationCause::RolesChanged, at(10));
    assert_eq!(changed.revoked, [roles_changed]);
    assert_eq!(found("alice").await, roles(&["a", "z", "é"]));
    change(&*store, "alice", UserChange::Roles(Vec::new())).await;
    assert_eq!(found("alice").await, []);
    assert_eq!(found("bob").await, roles(&["user"]));
}

/// There and back; doing it twice is no error. Sessions end with it, by their ids; keys stay.
pub async fn a_user_is_disabled_and_enabled(store: Arc<dyn Store>) {
    for id in ["alice", "bob"] {
        store.create_user(&user(id), None).await.expect("the store works");
        create_session(&*store, &session(&format!("{id}-1"), id, at(99))).await;
        add_api_key(&*store, &api_key(&format!("{id}-key"), id)).await;
    }
    let alice = BlockedUser { user: user_id("alice"), cause: RevocationCause::UserDisabled };
    for (to, disabled, revoked) in
        [(UserChange::Disable, true, 2), (UserChange::Disable, true, 1), (UserChange::Enable, false, 0)]
    {
        let changed = change(&*store, "alice", to).await;
        assert_eq!((changed.user.expect("alice").disabled, changed.revoked.len()), (disabled, revoked));
        let found = store.user(&user_id("alice")).await.expect("the store works").expect("it was added");
        assert_eq!(found.disabled, disabled);
        let other = store.user(&user_id("bob")).await.expect("the store works").expect("it was added");
        assert!(!other.disabled);
        let blocked = store.blocked_users().await.expect("the store works");
        assert_eq!(blocked, if disabled { vec![alice.clone()] } else { Vec::new() });
    }
    for (id, sessions) in [("alice", 0), ("bob", 1)] {
        assert_eq!(store.sessions_of(&user_id(id), None, 9).await.expect("the store works").len(), sessions);
        assert_eq!(store.api_keys(Some(&user_id(id))).await.expect("the store works").len(), 1);
    }
}

/// Sessions, refresh tokens and API keys go, each remembered by its id; other users' stay, and so do earlier revocations.
pub async fn removing_a_user_removes_what_is_theirs(store: Arc<dyn Store>) {
    for id in ["alice", "bob"] {
        store.create_user(&user(id), Some(&password("YQ"))).await.expect("the store works");
        let session = session(&format!("{id}-session"), id, at(0));
        create_session(&*store, &session).await;
        let token = refresh_token(&format!("{id}-refresh"), &session);
        store.create_refresh_token(&token).await.expect("the store works");
        add_api_key(&*store, &api_key(&format!("{id}-key"), id)).await;
    }
    let earlier = revocation(session_target("alice-earlier"), RevocationCause::Logout, at(1));
    store.revoke(&earlier).await.expect("the store works");

    let removed = change(&*store, "alice", UserChange::Remove).await;
    let whole = revocation(user_target("alice", at(10), None), RevocationCause::UserDeleted, at(10));
    let session = Revocation { target: session_target("alice-session"), ..whole.clone() };
    let key = Revocation { target: key_target("alice-key"), ..whole.clone() };
    assert_eq!(removed, ChangedUser { user: None, revoked: vec![whole.clone(), session.clone(), key.clone()] });
    let again = store.change_user(&user_id("alice"), &UserChange::Remove, times(at(10))).await;
    assert_eq!(again.expect("the store works"), None);
    for (id, there) in [("alice", false), ("bob", true)] {
        let hash = |what: &str| secret(&format!("{id}-{what}"));
        assert_eq!(store.user_with_password(&user_id(id)).await.expect("the store works").is_some(), there);
        assert_eq!(store.session_by_secret(&hash("session")).await.expect("the store works").is_some(), there);
        assert_eq!(store.sessions_of(&user_id(id), None, 9).await.expect("the store works").len(), usize::from(there));
        assert_eq!(store.refresh_token(&hash("refresh")).await.expect("the store works").is_some(), there);
        assert_eq!(store.api_key_by_secret(&hash("key")).await.expect("the store works").is_some(), there);
        assert_eq!(store.api_keys(Some(&user_id(id))).await.expect("the store works").len(), usize::from(there));
    }
    assert_eq!(store.revocations().await.expect("the store works"), [earlier, whole, session, key]);
}

/// Who was disabled, removed and added again is a new user: nothing that was said of the old one is said of the new one.
pub async fn a_user_who_was_disabled_and_removed_is_new_when_added_again(store: Arc<dyn Store>) {
    store.create_user(&user("alice"), None).await.expect("the store works");
    change(&*store, "alice", UserChange::Disable).await;
    change(&*store, "alice", UserChange::Remove).await;
    assert_eq!(store.blocked_users().await.expect("the store works"), []);
    assert_eq!(store.create_user(&user("alice"), None).await.expect("the store works"), CreateUser::Created);
    assert_eq!(store.user(&user_id("alice")).await.expect("the store works"), Some(user("alice")));
    assert_eq!(store.blocked_users().await.expect("the store works"), []);
}

/// Another issuer's user, who need not have been here; banning twice is no error, and the first moment stays.
pub async fn another_issuers_user_is_banned_and_unbanned(store: Arc<dyn Store>) {
    let banned = user_id("idp:7");
    assert!(!store.unban_user(&banned).await.expect("the store works"));
    create_session(&*store, &session("one", "idp:7", at(99))).await;
    let cause = RevocationCause::UserBanned;
    let whole = |when| revocation(user_target("idp:7", at(when), None), cause, at(when));
    let revoked = store.ban_user(&banned, times(at(1))).await.expect("the store works");
    // The session was used later, by a clock that was ahead.
    let ended = Revocation { target: session_target("one"), forget_at: at(99 + 1000), ..whole(1) };
    assert_eq!(revoked, [whole(1), ended]);
    assert_eq!(store.ban_user(&banned, times(at(2))).await.expect("the store works"), [whole(2)]);
    store.ban_user(&user_id("idp:8"), times(at(3))).await.expect("the store works");
    store.create_user(&user("alice"), None).await.expect("the store works");
    change(&*store, "alice", UserChange::Disable).await;

    let row = |id, when| BannedUser { user: user_id(id), banned_at: at(when) };
    let list = async |after: Option<&UserId>, limit| store.banned_users(after, limit).await.expect("the store works");
    assert_eq!(list(None, 9).await, [row("idp:7", 1), row("idp:8", 3)]);
    assert_eq!(list(None, 1).await, [row("idp:7", 1)]);
    assert_eq!(list(Some(&banned), 9).await, [row("idp:8", 3)]);
    let mut blocked = store.blocked_users().await.expect("the store works");
    blocked.sort_by(|one, other| one.user.cmp(&other.user));
    let block = |id, cause| BlockedUser { user: user_id(id), cause };
    assert_eq!(blocked, [block("alice", RevocationCause::UserDisabled), block("idp:7", cause), block("idp:8", cause)]);

    assert!(store.unban_user(&banned).await.expect("the store works"));
    assert_eq!(list(None, 9).await, [row("idp:8", 3)]);
    assert_eq!(store.blocked_users().await.expect("the store works").len(), 2);
    let taken = store.create_user(&user("idp:8"), None).await.expect("the store works");
    assert_eq!(taken, CreateUser::Banned);
    assert_eq!(store.user(&user_id("idp:8")).await.expect("the store works"), None);
}

/// A session that came into being while its user was being removed does not open the door to the next of that name.
pub async fn a_new_user_begins_with_nothing(store: Arc<dyn Store>) {
    let left_behind = session("s", "alice", at(0));
    store.create_session(&left_behind).await.expect("the store works");
    store.create_refresh_token(&refresh_token("r", &left_behind)).await.expect("the store works");
    store.create_session(&session("other", "bob", at(0))).await.expect("the store works");

    assert_eq!(store.create_user(&user("alice"), None).await.expect("the store works"), CreateUser::Created);
    assert_eq!(store.session(&session_id("s")).await.expect("the store works"), None);
    assert_eq!(store.refresh_token(&secret("r")).await.expect("the store works"), None);
    assert!(store.session(&session_id("other")).await.expect("the store works").is_some());
}
