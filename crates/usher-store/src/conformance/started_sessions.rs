//! Log-ins: the start of a session with all that belongs to it, in one transaction.

use std::sync::Arc;

use usher_auth::ids::SessionId;
use usher_auth::revocation::{Revocation, RevocationCause};
use usher_auth::session::{RefreshToken, Session};
use usher_auth::user::{PasswordHash, User};

use super::at_once;
use super::fixtures::{at, refresh_token, roles, secret, session, session_id, session_target, times, user, user_id};
use crate::{NewSession, StartedSession, Store, StoreError, UserChange};

#[doc(hidden)]
pub const SOURCE: &str = include_str!("started_sessions.rs");

/// A log-in of alice, who is as she was added.
struct LogIn {
    session: Session,
    refresh_token: RefreshToken,
    user: User,
    hash: PasswordHash,
    replaces: Option<SessionId>,
    most: usize,
}

fn password() -> PasswordHash {
    PasswordHash::from_phc("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$YQ")
}

fn log_in(id: &str, began: i64) -> LogIn {
    let session = session(id, "alice", at(began));
    let refresh_token = refresh_token(&format!("{id}-refresh"), &session);
    LogIn { session, refresh_token, user: user("alice"), hash: password(), replaces: None, most: 100 }
}

impl LogIn {
    async fn at(&self, store: &dyn Store) -> Result<StartedSession, StoreError> {
        let LogIn { session, refresh_token, user, hash, replaces, most } = self;
        let new = NewSession {
            session,
            refresh_token,
            refresh_family: secret(&format!("{}-family", session.id)),
            proven: (user, hash),
            replaces: replaces.as_ref(),
            most: *most,
            revocation: times(at(500)),
        };
        store.start_session(&new).await
    }
}

async fn add_alice(store: &dyn Store) {
    store.create_user(&user("alice"), Some(&password())).await.expect("the store works");
}

async fn ids(store: &dyn Store) -> Vec<String> {
    let sessions = store.sessions_of(&user_id("alice"), None, u32::MAX).await.expect("the store works");
    sessions.into_iter().map(|session| session.id.to_string()).collect()
}

fn ended(ids: &[&str], cause: RevocationCause) -> Vec<Revocation> {
    ids.iter().map(|id| times(at(500)).revocation(session_target(id), cause)).collect()
}

/// Both are there; nothing else happened.
pub async fn a_session_starts_with_its_refresh_token(store: Arc<dyn Store>) {
    add_alice(&*store).await;
    let one = log_in("one", 0);
    assert_eq!(one.at(&*store).await.expect("the store works"), StartedSession::Started(Vec::new()));
    assert_eq!(store.session(&session_id("one")).await.expect("the store works"), Some(one.session));
    let token = store.refresh_token(&secret("one-refresh")).await.expect("the store works");
    assert_eq!(token, Some(one.refresh_token));
    assert_eq!(store.revocations().await.expect("the store works"), []);
}

/// Whosever it was (req J2).
pub async fn a_session_replaces_another(store: Arc<dyn Store>) {
    add_alice(&*store).await;
    store.create_session(&session("bobs", "bob", at(0))).await.expect("the store works");
    let one = LogIn { replaces: Some(session_id("bobs")), ..log_in("one", 0) };
    let replaced = ended(&["bobs"], RevocationCause::Logout);
    assert_eq!(one.at(&*store).await.expect("the store works"), StartedSession::Started(replaced.clone()));
    assert_eq!(store.session(&session_id("bobs")).await.expect("the store works"), None);
    assert_eq!(store.revocations().await.expect("the store works"), replaced);
}

/// Those that were remembered first; a replaced one makes room (req H15).
pub async fn the_oldest_session_ends_for_one_too_many(store: Arc<dyn Store>) {
    add_alice(&*store).await;
    store.create_session(&session("bobs", "bob", at(0))).await.expect("the store works");
    for (id, began) in [("c", 1), ("a", 2), ("b", 3)] {
        log_in(id, began).at(&*store).await.expect("the store works");
    }
    let replacing = LogIn { replaces: Some(session_id("a")), most: 3, ..log_in("d", 4) };
    let replaced = ended(&["a"], RevocationCause::Logout);
    assert_eq!(replacing.at(&*store).await.expect("the store works"), StartedSession::Started(replaced));
    let one_more = LogIn { most: 2, ..log_in("e", 5) };
    let oldest = ended(&["c", "b"], RevocationCause::SessionLimit);
    assert_eq!(one_more.at(&*store).await.expect("the store works"), StartedSession::Started(oldest));
    assert_eq!(ids(&*store).await, ["d", "e"]);
    assert!(store.session(&session_id("bobs")).await.expect("the store works").is_some());
    assert_eq!(store.refresh_token(&secret("c-refresh")).await.expect("the store works"), None);
}

/// Whatever the wall clock said when they began (req H15).
pub async fn the_first_session_ends_for_one_too_many_also_after_the_clock_was_set_back(store: Arc<dyn Store>) {
    add_alice(&*store).await;
    for (id, began) in [("b", 3_600), ("c", 3_601), ("a", 10)] {
        log_in(id, began).at(&*store).await.expect("the store works");
    }
    for (id, began, first) in [("e", 11, "b"), ("d", 9, "c"), ("f", 8, "a"), ("g", 3_602, "e")] {
        let one_more = LogIn { most: 3, ..log_in(id, began) };
        let StartedSession::Started(revoked) = one_more.at(&*store).await.expect("the store works") else {
            panic!("alice is as she was added")
        };
        let targets: Vec<_> = revoked.into_iter().map(|one| one.target).collect();
        assert_eq!(targets, [session_target(first)], "{id}");
    }
    assert_eq!(ids(&*store).await, ["d", "f", "g"]);
}

/// A password, roles, name or state that changed while the old password was being checked (req L5).
pub async fn a_user_who_changed_meanwhile_gets_no_session(store: Arc<dyn Store>) {
    add_alice(&*store).await;
    log_in("kept", 0).at(&*store).await.expect("the store works");
    let other_hash = PasswordHash::from_phc("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$Yg");
    for changed in [
        LogIn { hash: other_hash, ..log_in("one", 0) },
        LogIn { user: User { roles: roles(&["admin"]), ..user("alice") }, ..log_in("two", 0) },
        LogIn { user: User { created_at: at(9), ..user("alice") }, ..log_in("three", 0) },
        LogIn { user: User { name: "Alicia".into(), ..user("alice") }, ..log_in("renamed", 0) },
        LogIn { session: session("four", "nobody", at(0)), ..log_in("four", 0) },
    ] {
        let changed = LogIn { replaces: Some(session_id("kept")), most: 1, ..changed };
        assert_eq!(changed.at(&*store).await.expect("the store works"), StartedSession::UserChanged);
    }
    assert_eq!(ids(&*store).await, ["kept"]);
    let disable = store.change_user(&user_id("alice"), &UserChange::Disable, times(at(1))).await;
    disable.expect("the store works");
    assert_eq!(log_in("five", 0).at(&*store).await.expect("the store works"), StartedSession::UserChanged);
    assert!(ids(&*store).await.is_empty());
}

/// What cannot be put in place ends no other session.
pub async fn a_session_starts_as_a_whole_or_not_at_all(store: Arc<dyn Store>) {
    add_alice(&*store).await;
    log_in("kept", 0).at(&*store).await.expect("the store works");
    store.create_session(&session("bobs", "bob", at(0))).await.expect("the store works");
    let same_secret = Session { secret: secret("kept"), ..session("two", "alice", at(0)) };
    let same_refresh = RefreshToken { secret: secret("kept-refresh"), ..log_in("three", 0).refresh_token };
    for taken in [
        LogIn { session: same_secret, ..log_in("two", 0) },
        LogIn { refresh_token: same_refresh, ..log_in("three", 0) },
        log_in("kept", 0),
    ] {
        let taken = LogIn { replaces: Some(session_id("bobs")), ..taken };
        taken.at(&*store).await.expect_err("an id or a secret is taken");
        assert_eq!(ids(&*store).await, ["kept"]);
        assert!(store.session(&session_id("bobs")).await.expect("the store works").is_some());
        assert_eq!(store.revocations().await.expect("the store works"), []);
    }
}

/// As one after the other (req H15).
pub async fn of_many_log_ins_at_once_as_many_stay_as_may(store: Arc<dyn Store>) {
    add_alice(&*store).await;
    at_once(12, |n| {
        let store = store.clone();
        async move {
            let one = LogIn { most: 5, ..log_in(&format!("s-{n}"), 0) };
            assert!(matches!(one.at(&*store).await.expect("the store works"), StartedSession::Started(_)));
        }
    })
    .await;
    assert_eq!(ids(&*store).await.len(), 5);
    assert_eq!(store.revocations().await.expect("the store works").len(), 7);
}
