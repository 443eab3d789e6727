//! A wall clock that is ahead or behind for a while, and set right: what has ended stays ended, and nothing else ends.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use usher_auth::revocation::RevocationCause;
use usher_store::memory::MemoryStore;
use usher_testkit::{TestClient, TestServer, Upgrade};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
/// Less than an access token lives, so that one that was revoked is refused for nothing else.
const FIVE_MINUTES: Duration = Duration::from_mins(5);

async fn with_token(server: &TestServer, token: &str) -> u16 {
    server.get("/auth/session").bearer_auth(token).send().await.expect("an answer").status().as_u16()
}

async fn with_cookie(server: &TestServer, cookie: &str) -> u16 {
    let request = server.get("/auth/session").header("cookie", format!("usher={cookie}"));
    request.send().await.expect("an answer").status().as_u16()
}

async fn reap(server: &TestServer) {
    server.server().reap_once().await.expect("a store");
}

#[tokio::test]
async fn a_clock_that_leaps_ahead_and_is_set_right_makes_nothing_forgotten() {
    // req H2, H3
    for leap in [DAY * 2, DAY * 400] {
        let server = TestServer::start().await;
        let ended = server.user("user-alice", "Alice").await;
        let kept = server.log_in("user-alice").await;
        assert_eq!(
            server.post_with_cookie("/auth/logout", &ended.cookie).send().await.expect("an answer").status(),
            204
        );
        let records = server.audit_records().await.len();
        server.clock.step_wall_forward(leap);
        // A log-in writes what the wall clock says.
        server.user("user-bob", "Bob").await;
        server.clock.advance(FIVE_MINUTES);
        reap(&server).await;
        server.clock.step_wall_back(leap);
        assert_eq!(with_token(&server, &ended.token).await, 401, "{leap:?}");
        assert_eq!(with_token(&server, &kept.token).await, 200, "{leap:?}");
        assert_eq!(with_cookie(&server, &kept.cookie).await, 200, "{leap:?}");
        let refresh = server.post("/auth/refresh").json(&json!({"refresh_token": kept.refresh_token}));
        assert_eq!(refresh.send().await.expect("an answer").status(), 200, "{leap:?}");
        assert!(server.audit_records().await.len() > records, "{leap:?}");
        assert!(server.store.revocations().await.expect("a store").len() == 1, "{leap:?}");
    }
}

#[tokio::test]
async fn what_ends_while_the_clock_is_behind_is_remembered_for_as_long_as_its_tokens_live() {
    // req H3, G8
    for store in [None, Some(Arc::new(MemoryStore::default()))] {
        let builder = TestServer::builder();
        let server = match store {
            None => builder.start().await,
            Some(store) => builder.store(store).start().await,
        };
        let alice = server.user("user-alice", "Alice").await;
        let bob = server.user("user-bob", "Bob").await;
        let stolen = server.user("user-carol", "Carol").await;
        let spend = server.post("/auth/refresh").json(&json!({"refresh_token": stolen.refresh_token}));
        assert_eq!(spend.send().await.expect("an answer").status(), 200);
        // Longer ago than a client tries again whose answer was lost.
        server.clock.advance(Duration::from_secs(11));
        server.clock.step_wall_back(HOUR);
        let logout = server.post_with_cookie("/auth/logout", &alice.cookie);
        assert_eq!(logout.send().await.expect("an answer").status(), 204);
        let everywhere = server.post_with_cookie("/auth/logout?everywhere=true", &bob.cookie);
        assert_eq!(everywhere.send().await.expect("an answer").status(), 204);
        let again = server.post("/auth/refresh").json(&json!({"refresh_token": stolen.refresh_token}));
        assert_eq!(again.send().await.expect("an answer").status(), 400, "it was spent an hour from now");
        server.clock.step_wall_forward(HOUR);
        // Another user goes on as usual.
        server.user("user-dave", "Dave").await;
        server.clock.advance(FIVE_MINUTES);
        reap(&server).await;
        for ended in [&alice, &bob, &stolen] {
            assert_eq!(with_token(&server, &ended.token).await, 401);
        }
        // And not for longer.
        server.clock.advance(Duration::from_mins(10));
        reap(&server).await;
        let left = server.store.revocations().await.expect("a store");
        // Those that end with a whole user are remembered for as long as another issuer's token may live.
        assert!(left.iter().all(|one| one.cause == RevocationCause::LogoutEverywhere), "{left:#?}");
    }
}

#[tokio::test]
async fn the_first_session_ends_for_one_too_many_whatever_the_clock_says() {
    // req H15: not the one that began just now, which would lock the user out until the clock has caught up.
    let server = TestServer::builder().settings(|settings| settings.sessions_per_user = 3).start().await;
    let mut sessions = vec![server.user("user-alice", "Alice").await];
    for _ in 0..2 {
        sessions.push(server.log_in("user-alice").await);
    }
    server.clock.step_wall_back(HOUR);
    for _ in 0..3 {
        sessions.push(server.log_in("user-alice").await);
        let first = sessions.remove(0);
        assert_eq!(with_cookie(&server, &first.cookie).await, 401);
        for kept in &sessions {
            assert_eq!(with_cookie(&server, &kept.cookie).await, 200);
        }
    }
}

#[tokio::test]
async fn a_token_with_roles_from_before_a_change_does_not_come_back_when_the_clock_is_set_right() {
    // req G8: the change was made while the clock was behind.
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    server.clock.step_wall_back(HOUR);
    server.db_set_roles("user-alice", &["guest"]).await;
    server.clock.step_wall_forward(HOUR);
    assert_eq!(with_token(&server, &alice.token).await, 401);
    let again = server.log_in("user-alice").await;
    assert_eq!(with_token(&server, &again.token).await, 200);
}

#[tokio::test]
async fn a_spent_refresh_token_stays_spent_when_the_clock_is_set_right() {
    // req L2: it was spent while the clock was ahead, and comes back when the clock says the same again.
    for later in [5, 30] {
        let server = TestServer::start().await;
        let alice = server.user("user-alice", "Alice").await;
        let refresh = async || {
            let request = server.post("/auth/refresh").json(&json!({"refresh_token": alice.refresh_token}));
            request.send().await.expect("an answer").status().as_u16()
        };
        let ahead = Duration::from_secs(30);
        server.clock.step_wall_forward(ahead);
        assert_eq!(refresh().await, 200);
        server.clock.step_wall_back(ahead);
        server.clock.advance(Duration::from_secs(later));
        assert_eq!(refresh().await, if later < 10 { 200 } else { 400 }, "{later} s after its use");
        assert_eq!(with_cookie(&server, &alice.cookie).await, if later < 10 { 200 } else { 401 });
    }
}

/// Whether the connection is open, and its user may join a room.
async fn may_join(client: &mut TestClient) -> bool {
    client.send(&json!({"type": "join", "room": "board-1"})).await;
    loop {
        let Ok(frame) = client.next().await else { return false };
        match frame["type"].as_str() {
            Some("joined") => return true,
            Some("error") => return false,
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_role_that_is_taken_away_is_gone_from_every_open_socket_whatever_the_clock_said() {
    // req G5, H9: by how much the clock was ahead before they were connected, and is behind when the role is taken away.
    let seconds = Duration::from_secs(5);
    for (ahead, behind) in
        [(HOUR, Duration::ZERO), (Duration::ZERO, HOUR), (Duration::ZERO, seconds), (seconds, seconds)]
    {
        let server = TestServer::start().await;
        server.db_add_user("user-alice", "Alice", &[]).await;
        server.clock.step_wall_forward(ahead);
        server.db_set_roles("user-alice", &["user"]).await;
        let (_, key) = server.db_api_key("user-alice", None).await;
        server.clock.step_wall_back(ahead);
        // In a later millisecond than the change.
        server.clock.advance(Duration::from_secs(1));
        let alice = server.log_in("user-alice").await;
        let by_cookie = async || server.enter(Upgrade::at("/cookie").cookie(&alice.cookie)).await;
        let by_key = async || server.enter(Upgrade::at("/http").header("x-api-key", &key)).await;
        let mut open = vec![by_cookie().await, by_key().await];
        if ahead == Duration::ZERO {
            open.push(server.enter(Upgrade::at("/ws").bearer(&alice.token)).await);
        }
        // A renewal that is made while the clock is ahead of what it will say.
        let renewed = server.post_with_cookie("/auth/refresh", &alice.cookie).send().await.expect("an answer");
        assert_eq!(renewed.status(), 200);
        server.clock.step_wall_back(behind);
        server.db_set_roles("user-alice", &["guest"]).await;
        for (number, client) in open.iter_mut().enumerate() {
            assert!(!may_join(client).await, "{ahead:?} ahead, {behind:?} behind: {number}");
        }
        assert!(!may_join(&mut by_key().await).await);
        // And back again, as soon.
        server.db_set_roles("user-alice", &["user"]).await;
        assert!(may_join(&mut open[1]).await, "{ahead:?} ahead, {behind:?} behind");
        assert!(may_join(&mut by_key().await).await);
    }
}
