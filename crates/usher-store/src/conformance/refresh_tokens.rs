//! Refresh tokens, one at a time.

use std::sync::Arc;
use std::time::Duration;

use usher_auth::UnixTime;
use usher_auth::revocation::{Revocation, RevocationCause, RevocationTarget};
use usher_auth::secret::HashedToken;
use usher_auth::session::{RefreshState, RefreshToken, Session};

use super::fixtures::{at, refresh_token, secret, session, session_id, times, user_id};
use crate::backend::SPENT_TOKENS_KEPT;
use crate::{EndedFamily, RefreshOutcome, RefreshRotation, Store};

#[doc(hidden)]
pub const SOURCE: &str = include_str!("refresh_tokens.rs");

const WINDOW: Duration = Duration::from_secs(10);

async fn session_in(store: &dyn Store) -> Session {
    let session = session("session", "alice", at(0));
    store.create_session(&session).await.expect("the store works");
    session
}

/// A session's first token, put in the store.
async fn first_token(store: &dyn Store) -> RefreshToken {
    let first = refresh_token("first", &session_in(store).await);
    store.create_refresh_token(&first).await.expect("the store works");
    first
}

/// Rotation of `presented` into `successor` at second `now`, with a window of 10 s.
fn rotation(presented: &RefreshToken, successor: &str, now: i64) -> RefreshRotation {
    RefreshRotation {
        presented: presented.secret,
        family: secret("family"),
        successor: RefreshToken {
            secret: secret(successor),
            issued_at: at(now),
            state: RefreshState::Fresh,
            ..presented.clone()
        },
        sealed_successor: sealed(successor),
        now: at(now),
        used_at: at(now),
        retry_window: WINDOW,
        forget_reuse_at: at(9999),
    }
}

fn sealed(successor: &str) -> Vec<u8> {
    [&[0, 255, 128, 39][..], successor.as_bytes()].concat()
}

fn spent(token: &RefreshToken, when: i64, successor: &str) -> RefreshToken {
    let state = RefreshState::Spent { at: at(when), successor: secret(successor), sealed_successor: sealed(successor) };
    RefreshToken { state, ..token.clone() }
}

async fn rotate(store: &dyn Store, rotation: &RefreshRotation) -> RefreshOutcome {
    store.rotate_refresh_token(rotation).await.expect("the store works")
}

async fn find(store: &dyn Store, secret: &HashedToken) -> Option<RefreshToken> {
    store.refresh_token(secret).await.expect("the store works")
}

/// Fresh and spent, at extremes of time.
pub async fn a_refresh_token_is_found_again(store: Arc<dyn Store>) {
    let session = session_in(&*store).await;
    let cases = [
        refresh_token("fresh", &session),
        RefreshToken { issued_at: UnixTime::EPOCH, expires_at: UnixTime::MAX, ..refresh_token("long", &session) },
        spent(&refresh_token("spent", &session), 5, "next"),
        RefreshToken {
            state: RefreshState::Spent {
                at: UnixTime::EPOCH,
                successor: HashedToken::from_bytes([0; 32]),
                sealed_successor: Vec::new(),
            },
            ..refresh_token("spent-early", &session)
        },
    ];
    for token in &cases {
        store.create_refresh_token(token).await.expect("the store works");
    }
    for token in cases {
        assert_eq!(find(&*store, &token.secret).await, Some(token));
    }
    assert_eq!(find(&*store, &secret("unknown")).await, None);
}

/// One issued while its session was being revoked would outlive it.
pub async fn a_refresh_token_needs_its_users_session(store: Arc<dyn Store>) {
    let alices = session_in(&*store).await;
    let no_session = RefreshToken { session: session_id("gone"), ..refresh_token("one", &alices) };
    let not_hers = RefreshToken { user: user_id("mallory"), ..refresh_token("two", &alices) };
    for token in [no_session, not_hers] {
        store.create_refresh_token(&token).await.expect_err("there is no such session");
        assert_eq!(find(&*store, &token.secret).await, None);
    }
}

/// And the first one stays as it was.
pub async fn a_second_refresh_token_of_the_same_secret_is_an_error(store: Arc<dyn Store>) {
    let first = first_token(&*store).await;
    let second = RefreshToken { expires_at: at(5000), ..first.clone() };
    store.create_refresh_token(&second).await.expect_err("the secret is taken");
    assert_eq!(find(&*store, &first.secret).await, Some(first));
}

/// req L1
pub async fn a_fresh_token_is_rotated(store: Arc<dyn Store>) {
    let first = first_token(&*store).await;
    let rotation = rotation(&first, "second", 100);
    assert_eq!(rotate(&*store, &rotation).await, RefreshOutcome::Rotated(spent(&first, 100, "second")));
    assert_eq!(find(&*store, &first.secret).await, Some(spent(&first, 100, "second")));
    assert_eq!(find(&*store, &secret("second")).await, Some(rotation.successor));
}

/// Whatever the caller put there: a token never moves to another session (req L3).
pub async fn a_successor_belongs_to_the_session_of_the_presented_token(store: Arc<dyn Store>) {
    let first = first_token(&*store).await;
    store.create_session(&session("other", "mallory", at(0))).await.expect("the store works");
    let mut rotation = rotation(&first, "second", 100);
    rotation.successor.session = session_id("other");
    rotation.successor.user = user_id("mallory");
    rotation.successor.state = spent(&first, 1, "third").state;
    rotate(&*store, &rotation).await;
    let successor = find(&*store, &secret("second")).await.expect("it is in place");
    assert_eq!((successor.session, successor.user), (first.session, first.user));
    assert_eq!(successor.state, RefreshState::Fresh);
}

/// As often as it takes, until the window closes; the same successor each time, and what the retry proposes is not taken (req L2).
pub async fn a_lost_answer_can_be_asked_for_again(store: Arc<dyn Store>) {
    let first = first_token(&*store).await;
    let original = rotation(&first, "second", 100);
    rotate(&*store, &original).await;
    for now in [100, 105, 110] {
        let again = rotate(&*store, &rotation(&first, "another", now)).await;
        let expected = RefreshOutcome::Retried {
            presented: spent(&first, 100, "second"),
            sealed_successor: sealed("second"),
            successor: original.successor.clone(),
        };
        assert_eq!(again, expected, "at {now}");
        assert_eq!(find(&*store, &secret("another")).await, None);
    }
    assert_eq!(find(&*store, &first.secret).await, Some(spent(&first, 100, "second")));
}

/// The window is counted from the first use, not from the last retry; the session ends with the answer (req L1).
pub async fn a_spent_token_is_reuse_once_the_window_has_closed(store: Arc<dyn Store>) {
    let first = first_token(&*store).await;
    rotate(&*store, &rotation(&first, "second", 100)).await;
    rotate(&*store, &rotation(&first, "another", 109)).await;
    let mut late = rotation(&first, "another", 110);
    late.now = UnixTime::from_millis(at(110).as_millis() + 1);
    assert_reused(&*store, &late, &spent(&first, 100, "second")).await;
    for name in ["first", "second", "another"] {
        assert_eq!(find(&*store, &secret(name)).await, None, "{name}");
    }
    assert_eq!(rotate(&*store, &late).await, RefreshOutcome::Unknown);
}

/// Its owner has the successor, then; so whoever brings the predecessor is somebody else (req L1).
pub async fn a_spent_token_is_reuse_once_its_successor_was_used(store: Arc<dyn Store>) {
    let first = first_token(&*store).await;
    let second = rotation(&first, "second", 100).successor;
    rotate(&*store, &rotation(&first, "second", 100)).await;
    rotate(&*store, &rotation(&second, "third", 101)).await;
    let outcome = rotate(&*store, &rotation(&second, "another", 102)).await;
    assert!(matches!(outcome, RefreshOutcome::Retried { .. }), "that one's own successor is unused: {outcome:?}");
    assert_reused(&*store, &rotation(&first, "another", 102), &spent(&first, 100, "second")).await;
}

/// Set back by less than the window, a clock makes the window longer by that; by more, spent is spent (req L1).
pub async fn a_clock_set_back_makes_no_spent_token_good(store: Arc<dyn Store>) {
    let first = first_token(&*store).await;
    rotate(&*store, &rotation(&first, "second", 100)).await;
    let outcome = rotate(&*store, &rotation(&first, "another", 90)).await;
    assert!(matches!(outcome, RefreshOutcome::Retried { .. }), "{outcome:?}");
    assert_reused(&*store, &rotation(&first, "another", 89), &spent(&first, 100, "second")).await;
}

/// The clock that is not set back does not count while no process runs; the wall clock does (req L2).
pub async fn a_spent_token_is_reuse_after_a_time_that_one_clock_did_not_count(store: Arc<dyn Store>) {
    let first = first_token(&*store).await;
    rotate(&*store, &rotation(&first, "second", 100)).await;
    let retried = RefreshRotation { used_at: at(105), ..rotation(&first, "another", 110) };
    assert!(matches!(rotate(&*store, &retried).await, RefreshOutcome::Retried { .. }));
    let later = RefreshRotation { used_at: at(105), ..rotation(&first, "another", 111) };
    assert_reused(&*store, &later, &spent(&first, 100, "second")).await;
}

/// The presented token is reuse, and its session is gone and remembered as ended.
async fn assert_reused(store: &dyn Store, rotation: &RefreshRotation, presented: &RefreshToken) {
    let session = store.session(&presented.session).await.expect("the store works").expect("it is there");
    let revocation = Revocation {
        target: RevocationTarget::Session(presented.session.clone()),
        cause: RevocationCause::RefreshReuse,
        at: rotation.now,
        // For as long after the last use of the session, if the clock was set back.
        forget_at: at(9999).max(session.last_seen_at.plus(at(9999).since(rotation.now))),
    };
    let revoked = vec![revocation];
    let (session, user) = (presented.session.clone(), presented.user.clone());
    let ended = EndedFamily { session, user, revoked: revoked.clone() };
    assert_eq!(rotate(store, rotation).await, RefreshOutcome::Reused(ended));
    assert_eq!(store.session(&presented.session).await.expect("the store works"), None);
    assert_eq!(store.revocations().await.expect("the store works"), revoked);
}

/// A client that refreshes without end takes no more room than one that does now and then.
pub async fn of_a_long_chain_the_newest_spent_tokens_are_kept(store: Arc<dyn Store>) {
    let mut token = first_token(&*store).await;
    let name = |n: usize| format!("token-{n}");
    let rotations = SPENT_TOKENS_KEPT + 5;
    for n in 0..rotations {
        let rotation = rotation(&token, &name(n), i64::try_from(n).expect("a small number"));
        assert!(matches!(rotate(&*store, &rotation).await, RefreshOutcome::Rotated(_)), "{n}");
        token = rotation.successor;
    }
    let mut kept = Vec::new();
    for n in 0..rotations {
        if find(&*store, &secret(&name(n))).await.is_some() {
            kept.push(n);
        }
    }
    assert_eq!(kept, (rotations - SPENT_TOKENS_KEPT - 1..rotations).collect::<Vec<_>>());
    assert_eq!(find(&*store, &secret("first")).await, None);
}

/// It moves the session's last use, which a retry and a refusal do not (req J4).
pub async fn a_rotation_is_a_use_of_the_session(store: Arc<dyn Store>) {
    let first = first_token(&*store).await;
    let seen = async || {
        let session = store.session(&first.session).await.expect("the store works");
        session.expect("it is there").last_seen_at
    };
    rotate(&*store, &rotation(&first, "second", 100)).await;
    assert_eq!(seen().await, at(100));
    rotate(&*store, &rotation(&first, "another", 105)).await;
    let unknown = RefreshToken { secret: secret("unknown"), ..first.clone() };
    rotate(&*store, &rotation(&unknown, "another", 106)).await;
    assert_eq!(seen().await, at(100));
    let second = rotation(&first, "second", 100).successor;
    rotate(&*store, &rotation(&second, "third", 99)).await;
    assert_eq!(seen().await, at(100), "a clock set back moves nothing back");
}

/// From its last moment on; nothing is changed (req L3). One that is spent is reuse also then.
pub async fn a_token_that_was_not_used_in_time_is_expired(store: Arc<dyn Store>) {
    let first = first_token(&*store).await;
    let late = rotation(&first, "second", 1000);
    assert_eq!(rotate(&*store, &late).await, RefreshOutcome::Expired(first.clone()));
    assert_eq!(find(&*store, &first.secret).await, Some(first.clone()));
    assert_eq!(find(&*store, &secret("second")).await, None);

    let mut just_in_time = rotation(&first, "second", 999);
    just_in_time.now = UnixTime::from_millis(at(1000).as_millis() - 1);
    assert!(matches!(rotate(&*store, &just_in_time).await, RefreshOutcome::Rotated(_)));
    let retried = rotate(&*store, &rotation(&first, "another", 1000)).await;
    assert!(matches!(retried, RefreshOutcome::Retried { .. }), "its answer may have been lost: {retried:?}");
    assert_reused(&*store, &rotation(&first, "another", 1011), &first).await;
}

/// A token of which nothing is kept ends the session of its family; another family, or none, ends nothing (req L1).
pub async fn a_family_is_known_when_its_spent_tokens_are_forgotten(store: Arc<dyn Store>) {
    let end =
        async |family: &str| store.end_refresh_family(&secret(family), times(at(200))).await.expect("the store works");
    let first = first_token(&*store).await;
    assert_eq!(end("family").await, None, "a session from before there were families");
    rotate(&*store, &rotation(&first, "second", 100)).await;
    store.create_session(&session("other", "bob", at(0))).await.expect("the store works");
    assert_eq!(end("another").await, None);
    let ended = end("family").await.expect("it is the session's");
    assert_eq!((ended.session, ended.user, ended.revoked.len()), (first.session.clone(), first.user, 1));
    assert_eq!(ended.revoked[0].cause, RevocationCause::RefreshReuse);
    assert_eq!(store.session(&first.session).await.expect("the store works"), None);
    assert!(store.session(&session_id("other")).await.expect("the store works").is_some());
    assert_eq!(end("family").await, None, "it has ended");
}

/// And leaves no successor behind.
pub async fn an_unknown_token_is_unknown(store: Arc<dyn Store>) {
    let unknown = refresh_token("unknown", &session_in(&*store).await);
    assert_eq!(rotate(&*store, &rotation(&unknown, "second", 100)).await, RefreshOutcome::Unknown);
    assert_eq!(find(&*store, &secret("second")).await, None);
}

/// A successor that cannot be put in place does not spend the token.
pub async fn a_rotation_happens_as_a_whole_or_not_at_all(store: Arc<dyn Store>) {
    let first = first_token(&*store).await;
    let taken = RefreshToken { secret: secret("taken"), ..first.clone() };
    store.create_refresh_token(&taken).await.expect("the store works");
    for successor in ["taken", "first"] {
        store.rotate_refresh_token(&rotation(&first, successor, 100)).await.expect_err("the secret is taken");
        assert_eq!(find(&*store, &first.secret).await, Some(first.clone()));
        assert_eq!(find(&*store, &taken.secret).await, Some(taken.clone()));
    }
    let outcome = rotate(&*store, &rotation(&first, "second", 100)).await;
    assert!(matches!(outcome, RefreshOutcome::Rotated(_)), "{outcome:?}");
}

/// Spent ones, their own moment included. One that was never used stays, and is expired, until its session ends.
pub async fn reaping_removes_what_is_over(store: Arc<dyn Store>) {
    let session = session_in(&*store).await;
    for (name, expires) in [("one", 99), ("two", 100), ("three", 101)] {
        let token = RefreshToken { expires_at: at(expires), ..refresh_token(name, &session) };
        store.create_refresh_token(&spent(&token, 50, "next")).await.expect("the store works");
    }
    let unused = RefreshToken { expires_at: at(99), ..refresh_token("unused", &session) };
    store.create_refresh_token(&unused).await.expect("the store works");
    assert_eq!(store.reap_refresh_tokens(at(100)).await.expect("the store works"), 2);
    for (name, there) in [("one", false), ("two", false), ("three", true), ("unused", true)] {
        assert_eq!(find(&*store, &secret(name)).await.is_some(), there, "{name}");
    }
    assert_eq!(store.reap_refresh_tokens(at(100)).await.expect("the store works"), 0);
    assert_eq!(store.session(&session.id).await.expect("the store works"), Some(session));
}
