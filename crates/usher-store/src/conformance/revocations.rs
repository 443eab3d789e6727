//! Revocations of sessions, tokens and keys, and how they are remembered.

use std::sync::Arc;

use usher_auth::UnixTime;
use usher_auth::ids::{ApiKeyId, IssuerName, IssuerSessionId, IssuerSubject, TokenId};
use usher_auth::revocation::{Revocation, RevocationCause, RevocationTarget};

use super::at_once;
use super::fixtures::{
    add_api_key, api_key, at, refresh_token, revocation, secret, session, session_id, session_target, user_target,
};
use crate::Store;

#[doc(hidden)]
pub const SOURCE: &str = include_str!("revocations.rs");

async fn revoke(store: &dyn Store, revocation: &Revocation) -> Vec<Revocation> {
    store.revoke(revocation).await.expect("the store works")
}

async fn remembered(store: &dyn Store) -> Vec<Revocation> {
    store.revocations().await.expect("the store works")
}

fn key_target(id: &str) -> RevocationTarget {
    RevocationTarget::ApiKey(ApiKeyId::new(id).expect("a valid id"))
}

fn token_target(issuer: Option<&str>, id: &str) -> RevocationTarget {
    let issuer = issuer.map(|name| IssuerName::new(name).expect("a valid name"));
    RevocationTarget::Token(issuer, TokenId::new(id).expect("a valid id"))
}

fn issuer_session_target(issuer: &str, session: &str) -> RevocationTarget {
    let session = IssuerSessionId::new(session).expect("a valid id");
    RevocationTarget::IssuerSession(IssuerName::new(issuer).expect("a valid name"), session)
}

fn issuer_subject_target(issuer: &str, subject: &str, issued_before: UnixTime) -> RevocationTarget {
    let subject = IssuerSubject::new(subject).expect("a valid id");
    RevocationTarget::IssuerSubject { issuer: IssuerName::new(issuer).expect("a valid name"), subject, issued_before }
}

/// Its cookie and its refresh tokens, spent ones too; no other session (req J5, L5).
pub async fn a_session_is_revoked_with_its_tokens(store: Arc<dyn Store>) {
    add_api_key(&*store, &api_key("key", "alice")).await;
    for id in ["one", "two"] {
        let session = session(id, "alice", at(0));
        store.create_session(&session).await.expect("the store works");
        for n in 0..3 {
            let token = refresh_token(&format!("{id}-{n}"), &session);
            store.create_refresh_token(&token).await.expect("the store works");
        }
    }
    let logout = revocation(session_target("one"), RevocationCause::Logout, at(10));
    assert_eq!(revoke(&*store, &logout).await, std::slice::from_ref(&logout));
    for (id, there) in [("one", false), ("two", true)] {
        assert_eq!(store.session(&session_id(id)).await.expect("the store works").is_some(), there);
        assert_eq!(store.session_by_secret(&secret(id)).await.expect("the store works").is_some(), there);
        for n in 0..3 {
            let token = store.refresh_token(&secret(&format!("{id}-{n}"))).await.expect("the store works");
            assert_eq!(token.is_some(), there);
        }
    }
    assert!(store.api_key_by_secret(&secret("key")).await.expect("the store works").is_some());
    assert_eq!(remembered(&*store).await, [logout]);
}

/// Its access tokens may be alive although the store does not know the session.
pub async fn what_is_not_there_is_revoked_all_the_same(store: Arc<dyn Store>) {
    let mut expected = Vec::new();
    for target in [session_target("gone"), key_target("gone"), user_target("nobody", at(10), Some("gone"))] {
        let revocation = revocation(target, RevocationCause::Administrator, at(10));
        assert_eq!(revoke(&*store, &revocation).await, std::slice::from_ref(&revocation));
        expected.push(revocation);
    }
    assert_eq!(remembered(&*store).await, expected);
}

/// That one alone.
pub async fn an_api_key_is_revoked(store: Arc<dyn Store>) {
    for id in ["one", "two"] {
        add_api_key(&*store, &api_key(id, "alice")).await;
    }
    store.create_session(&session("session", "alice", at(0))).await.expect("the store works");
    let revoked = revocation(key_target("one"), RevocationCause::KeyRevoked, at(10));
    assert_eq!(revoke(&*store, &revoked).await, std::slice::from_ref(&revoked));
    assert_eq!(store.api_key_by_secret(&secret("one")).await.expect("the store works"), None);
    assert_eq!(store.api_keys(None).await.expect("the store works"), [api_key("two", "alice")]);
    assert!(store.session(&session_id("session")).await.expect("the store works").is_some());
    assert_eq!(remembered(&*store).await, [revoked]);
}

/// Two issuers may give the same `jti` (req G8).
pub async fn a_token_is_revoked_for_its_issuer_alone(store: Arc<dyn Store>) {
    let mut expected = Vec::new();
    for issuer in [None, Some("google"), Some("idp")] {
        let revocation = revocation(token_target(issuer, "jti"), RevocationCause::Administrator, at(10));
        assert_eq!(revoke(&*store, &revocation).await, std::slice::from_ref(&revocation));
        expected.push(revocation);
    }
    assert_eq!(remembered(&*store).await, expected);
}

/// They are no sessions and no users of ours (req H16). A later revocation of a subject includes an earlier one.
pub async fn another_issuers_sessions_and_subjects_are_revoked_by_its_names(store: Arc<dyn Store>) {
    store.create_session(&session("one", "alice", at(0))).await.expect("the store works");
    let cause = RevocationCause::Logout;
    let mut expected = Vec::new();
    for target in [
        issuer_session_target("idp", "one"),
        issuer_session_target("other", "one"),
        issuer_subject_target("idp", "alice", at(10)),
        issuer_subject_target("other", "alice", at(10)),
    ] {
        let revocation = revocation(target, cause, at(10));
        assert_eq!(revoke(&*store, &revocation).await, std::slice::from_ref(&revocation));
        expected.push(revocation);
    }
    assert!(store.session(&session_id("one")).await.expect("the store works").is_some());
    for before in [30, 20] {
        revoke(&*store, &revocation(issuer_subject_target("idp", "alice", at(before)), cause, at(before))).await;
    }
    expected[2].target = issuer_subject_target("idp", "alice", at(30));
    expected[2].forget_at = revocation(session_target("any"), cause, at(30)).forget_at;
    assert_eq!(remembered(&*store).await, expected);
}

/// The first stays with its cause, and is kept for as long as either asks.
pub async fn revoking_again_is_no_second_revocation(store: Arc<dyn Store>) {
    let targets = [session_target("s"), key_target("k"), token_target(None, "jti"), token_target(Some("idp"), "jti")];
    for target in targets {
        let first = revocation(target.clone(), RevocationCause::Logout, at(10));
        let later = revocation(target.clone(), RevocationCause::Administrator, at(20));
        let shorter = Revocation { forget_at: at(30), ..later.clone() };
        for again in [&first, &later, &shorter, &later] {
            assert_eq!(revoke(&*store, again).await[0], *again);
        }
        let kept: Vec<Revocation> = remembered(&*store).await.into_iter().filter(|one| one.target == target).collect();
        assert_eq!(kept, [Revocation { forget_at: later.forget_at, ..first }]);
    }
    assert_eq!(remembered(&*store).await.len(), 4);
}

/// And all who asked are told that it is revoked.
pub async fn of_many_revocations_of_one_session_at_once_one_is_remembered(store: Arc<dyn Store>) {
    store.create_session(&session("one", "alice", at(0))).await.expect("the store works");
    let logout = revocation(session_target("one"), RevocationCause::Logout, at(10));
    let answers = at_once(16, |_| {
        let (store, logout) = (store.clone(), logout.clone());
        async move { store.revoke(&logout).await.expect("the store works") }
    })
    .await;
    assert!(answers.iter().all(|answer| *answer == std::slice::from_ref(&logout)), "{answers:?}");
    assert_eq!(remembered(&*store).await, [logout]);
}

/// In the order of revoking, with odd ids and at extremes of time.
pub async fn every_target_and_cause_is_remembered_as_it_was(store: Arc<dyn Store>) {
    let targets = [
        session_target("ses_\u{e9}\u{1f600}"),
        user_target("zoë", UnixTime::MAX, None),
        user_target("google:117", UnixTime::EPOCH, Some("'--")),
        token_target(None, "jti\"1"),
        token_target(Some("idp"), &"x".repeat(256)),
        key_target("key_1"),
        issuer_session_target("idp", "a session\u{0}of \"theirs\"\n"),
        issuer_session_target("idp", &"x".repeat(usher_auth::ids::MAX_ISSUER_TEXT_BYTES)),
        issuer_subject_target("idp", "auth0|117", UnixTime::MAX),
    ];
    let mut expected = Vec::new();
    for (n, cause) in RevocationCause::ALL.into_iter().enumerate() {
        let target = targets.get(n).cloned().unwrap_or_else(|| session_target(&n.to_string()));
        expected.push(Revocation { target, cause, at: UnixTime::MAX, forget_at: UnixTime::MAX });
    }
    for revocation in &expected {
        assert_eq!(revoke(&*store, revocation).await, std::slice::from_ref(revocation));
    }
    assert_eq!(remembered(&*store).await, expected);
}

/// From its last moment on; until then it is listed, whatever time its caller believes it to be.
pub async fn what_no_longer_matters_is_reaped(store: Arc<dyn Store>) {
    let mut all = Vec::new();
    for (id, forget) in [("one", 99), ("two", 100), ("three", 101)] {
        let revocation = revocation(session_target(id), RevocationCause::Logout, at(10));
        all.push(Revocation { forget_at: at(forget), ..revocation });
    }
    let of_user = revocation(user_target("alice", at(10), None), RevocationCause::LogoutEverywhere, at(10));
    all.push(Revocation { forget_at: UnixTime::MAX, ..of_user });
    for revocation in &all {
        revoke(&*store, revocation).await;
    }
    assert_eq!(remembered(&*store).await, all, "a clock that was ahead makes nothing forgotten");
    assert_eq!(store.reap_revocations(at(100)).await.expect("the store works"), 2);
    assert_eq!(store.reap_revocations(at(100)).await.expect("the store works"), 0);
    assert_eq!(remembered(&*store).await, all[2..]);
    let again = Revocation { forget_at: at(200), ..all[0].clone() };
    assert_eq!(revoke(&*store, &again).await, std::slice::from_ref(&again));
    assert_eq!(
        remembered(&*store).await,
        [all[2].clone(), all[3].clone(), again],
        "what was reaped can be revoked anew"
    );
}

/// Of sessions' use, of refresh tokens and of revocations: whichever is newest.
pub async fn the_newest_moment_is_known(store: Arc<dyn Store>) {
    let newest = async || store.newest_moment().await.expect("the store works");
    assert_eq!(newest().await, None);
    revoke(&*store, &revocation(session_target("one"), RevocationCause::Logout, at(5))).await;
    assert_eq!(newest().await, Some(at(5)));
    let session = session("two", "alice", at(7));
    store.create_session(&session).await.expect("the store works");
    assert_eq!(newest().await, Some(at(7)));
    store.touch_session(&session.id, at(9)).await.expect("the store works");
    assert_eq!(newest().await, Some(at(9)));
    let token = usher_auth::session::RefreshToken { issued_at: at(11), ..refresh_token("r", &session) };
    store.create_refresh_token(&token).await.expect("the store works");
    assert_eq!(newest().await, Some(at(11)));
}
