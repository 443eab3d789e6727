//! Refresh tokens, many at once (req L1, L2, O7).

use std::sync::Arc;
use std::time::Duration;

use usher_auth::revocation::RevocationCause;
use usher_auth::secret::HashedToken;
use usher_auth::session::{RefreshState, RefreshToken};

use super::at_once;
use super::fixtures::{at, refresh_token, revocation, secret, session, session_target};
use crate::{RefreshOutcome, RefreshRotation, Store};

#[doc(hidden)]
pub const SOURCE: &str = include_str!("refresh_races.rs");

const RACERS: usize = 32;

async fn first_token(store: &dyn Store, session_name: &str) -> RefreshToken {
    let session = session(session_name, "alice", at(0));
    store.create_session(&session).await.expect("the store works");
    let first = refresh_token(&format!("{session_name}-first"), &session);
    store.create_refresh_token(&first).await.expect("the store works");
    first
}

/// A window in which all racers come.
const OPEN: Duration = Duration::from_secs(10);

/// Rotation into a successor of the racer's own.
fn rotation(presented: &RefreshToken, successor: &str, retry_window: Duration) -> RefreshRotation {
    RefreshRotation {
        presented: presented.secret,
        family: secret("family"),
        successor: RefreshToken {
            secret: secret(successor),
            issued_at: at(100),
            state: RefreshState::Fresh,
            ..presented.clone()
        },
        sealed_successor: successor.as_bytes().to_vec(),
        now: at(100),
        used_at: at(100),
        retry_window,
        forget_reuse_at: at(9999),
    }
}

async fn race(store: &Arc<dyn Store>, presented: &RefreshToken, window: Duration) -> Vec<(String, RefreshOutcome)> {
    at_once(RACERS, |n| {
        let store = store.clone();
        let name = format!("successor-{n}");
        let rotation = rotation(presented, &name, window);
        async move { (name, store.rotate_refresh_token(&rotation).await.expect("the store works")) }
    })
    .await
}

async fn find(store: &dyn Store, secret: &HashedToken) -> Option<RefreshToken> {
    store.refresh_token(secret).await.expect("the store works")
}

fn winner(outcomes: &[(String, RefreshOutcome)]) -> &str {
    let rotated = outcomes.iter().filter(|(_, outcome)| matches!(outcome, RefreshOutcome::Rotated(_)));
    let winners: Vec<&str> = rotated.map(|(name, _)| &**name).collect();
    assert_eq!(winners.len(), 1, "{winners:?}");
    winners[0]
}

/// All get the winner's successor.
pub async fn of_many_rotations_at_once_one_rotates_and_the_others_retry(store: Arc<dyn Store>) {
    let first = first_token(&*store, "session").await;
    let outcomes = race(&store, &first, OPEN).await;
    let winner = winner(&outcomes);
    for (name, outcome) in &outcomes {
        match outcome {
            RefreshOutcome::Rotated(_) => {}
            RefreshOutcome::Retried { sealed_successor, successor, .. } => {
                assert_eq!(sealed_successor, winner.as_bytes());
                assert_eq!(successor.secret, secret(winner));
            }
            other => panic!("{name}: {other:?}"),
        }
        assert_eq!(find(&*store, &secret(name)).await.is_some(), name == winner, "{name}");
    }
}

/// After a use whose window has closed, every use is reuse; the first of them ends the session, and then there is no such token.
pub async fn of_many_late_rotations_at_once_one_is_reuse_and_none_rotates(store: Arc<dyn Store>) {
    let first = first_token(&*store, "session").await;
    let early = RefreshRotation { now: at(50), used_at: at(50), ..rotation(&first, "early", OPEN) };
    store.rotate_refresh_token(&early).await.expect("the store works");
    let outcomes = race(&store, &first, OPEN).await;
    let reused = outcomes.iter().filter(|(_, outcome)| matches!(outcome, RefreshOutcome::Reused { .. })).count();
    let unknown = outcomes.iter().filter(|(_, outcome)| *outcome == RefreshOutcome::Unknown).count();
    assert_eq!((reused, unknown), (1, RACERS - 1), "{outcomes:?}");
}

/// Two clients refresh at once, and whatever each gets it refreshes again: never are there two live branches, and none once a token was
/// found to be reused (req L2).
pub async fn racing_pairs_leave_one_chain(store: Arc<dyn Store>) {
    for round in 0..20 {
        let first = first_token(&*store, &format!("session-{round}")).await;
        let secrets = at_once(2, |client| {
            let (store, first) = (store.clone(), first.clone());
            async move {
                let mut token = first;
                let mut proposed = Vec::new();
                let mut reused = false;
                for step in 0..3 {
                    let rotation = rotation(&token, &format!("{round}-{client}-{step}"), OPEN);
                    proposed.push(rotation.successor.secret);
                    token = match store.rotate_refresh_token(&rotation).await.expect("the store works") {
                        RefreshOutcome::Rotated(_) => rotation.successor,
                        RefreshOutcome::Retried { successor, .. } => successor,
                        RefreshOutcome::Reused { .. } | RefreshOutcome::Unknown => {
                            reused = true;
                            break;
                        }
                        other @ RefreshOutcome::Expired(_) => panic!("{other:?}"),
                    };
                }
                (proposed, reused)
            }
        })
        .await;
        let mut fresh = 0;
        let reused = secrets.iter().any(|(_, reused)| *reused);
        for secret in secrets.iter().flat_map(|(proposed, _)| proposed).chain([&first.secret]) {
            let found = find(&*store, secret).await;
            fresh += usize::from(found.is_some_and(|token| token.state == RefreshState::Fresh));
        }
        assert_eq!(fresh, usize::from(!reused), "live branches in round {round}");
    }
}

/// Whichever comes first, the session's end is the end of all its tokens (req L5).
pub async fn a_rotation_and_a_revocation_at_once_leave_no_token(store: Arc<dyn Store>) {
    for round in 0..20 {
        let name = format!("session-{round}");
        let first = first_token(&*store, &name).await;
        let successor = format!("successor-{round}");
        at_once(2, |n| {
            let store = store.clone();
            let rotation = rotation(&first, &successor, OPEN);
            let revocation = revocation(session_target(&name), RevocationCause::Logout, at(100));
            async move {
                if n == 0 {
                    let outcome = store.rotate_refresh_token(&rotation).await.expect("the store works");
                    assert!(matches!(outcome, RefreshOutcome::Rotated(_) | RefreshOutcome::Unknown), "{outcome:?}");
                } else {
                    store.revoke(&revocation).await.expect("the store works");
                }
            }
        })
        .await;
        assert_eq!(find(&*store, &first.secret).await, None);
        assert_eq!(find(&*store, &secret(&successor)).await, None);
    }
}
