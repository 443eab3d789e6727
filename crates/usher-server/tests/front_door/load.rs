//! One user of fifty sockets logs out among five thousand: all fifty are closed, and nobody else notices (req H3).

use std::time::Duration;

use usher_auth::Clock as _;
use usher_axum::ConnectionLimits;
use usher_testkit::{TestServer, Upgrade};

const ALL: usize = 5_000;
const ENDING: usize = 50;

#[expect(clippy::print_stdout, reason = "what was measured is part of the run's output")]
#[tokio::test(flavor = "multi_thread")]
async fn load_a_log_out_among_five_thousand() {
    // req H3, H4
    let limits = ConnectionLimits { per_user: ALL, per_session: ALL };
    let server = TestServer::builder().settings(|settings| settings.connections = limits).start().await;
    let crowd = server.user("user-crowd", "Crowd").await;
    let alice = server.user("user-alice", "Alice").await;
    let mut staying = Vec::with_capacity(ALL - ENDING);
    for _ in 0..ALL - ENDING {
        staying.push(server.enter(Upgrade::at("/ws").bearer(&crowd.token)).await);
    }
    let mut ending = Vec::with_capacity(ENDING);
    for _ in 0..ENDING {
        ending.push(server.enter(Upgrade::at("/ws").cookie(&alice.cookie)).await);
    }
    let ends: Vec<_> = ending
        .into_iter()
        .map(|mut socket| {
            let clock = server.clock.clone();
            tokio::spawn(async move { (socket.closed().await.1.code, clock.now().monotonic) })
        })
        .collect();
    let answer = server.post_with_cookie("/auth/logout", &alice.cookie).send().await.expect("an answer");
    let answered_at = server.clock.now().monotonic;
    assert_eq!(answer.status(), 204);
    let mut took = Vec::with_capacity(ENDING);
    for end in ends {
        let (code, at) = end.await.expect("no panic");
        assert_eq!(code, 4004);
        took.push(at.saturating_sub(answered_at));
    }
    took.sort_unstable();
    let at = |percent: usize| took[(took.len() * percent).div_ceil(100) - 1];
    println!(
        "from the answer to the close frame, {ENDING} of {ALL} connections, debug build: p50 {:?}, p99 {:?}, most {:?}",
        at(50),
        at(99),
        at(100)
    );
    assert!(at(100) < Duration::from_secs(1), "{took:?}");
    assert_eq!(server.server().connections().count(), ALL - ENDING);
    for socket in &mut staying {
        assert!(socket.ping().await.is_empty());
    }
}
