//! Failed credentials are counted on every path that takes one (req K2).

use std::time::Duration;

use serde_json::json;
use usher_testkit::{TestServer, Upgrade};

#[tokio::test]
async fn guesses_at_one_account_are_throttled_and_its_owner_is_not() {
    // req K2
    let server = TestServer::builder()
        .settings(|settings| {
            settings.trusted_proxies = usher_axum::TrustedProxies::new(vec!["127.0.0.0/8".parse().expect("a network")]);
        })
        .start()
        .await;
    server.db_add_user("user-alice", "Alice", &["user"]).await;
    let login = |from: &'static str, pwd: &'static str| {
        server
            .post("/auth/login")
            .header("x-forwarded-for", from)
            .json(&json!({"user": "user-alice", "pwd": pwd}))
            .send()
    };
    let right = "correct horse battery staple";
    assert_eq!(login("192.0.2.1", right).await.expect("an answer").status(), 200, "Alice's own address");
    for guess in 0..10 {
        assert_eq!(login("198.51.100.7", "guess").await.expect("an answer").status(), 401, "guess {guess}");
    }
    let throttled = login("198.51.100.7", right).await.expect("an answer");
    assert_eq!(throttled.status(), 429, "even the right password is not looked at");
    let wait: u64 = throttled.headers()["retry-after"].to_str().expect("text").parse().expect("seconds");
    assert!((1..=6).contains(&wait), "{wait}");
    assert_eq!(login("203.0.113.9", right).await.expect("an answer").status(), 429, "nor from other strangers");
    assert_eq!(login("192.0.2.1", right).await.expect("an answer").status(), 200, "Alice is not kept out");
    server.clock.advance(Duration::from_secs(7));
    assert_eq!(login("198.51.100.7", right).await.expect("an answer").status(), 200, "and nobody is for ever");
}

/// The statuses of log-ins that all begin at once, each with where it comes from, for whom, and the password.
async fn at_once(
    server: &TestServer,
    tries: impl IntoIterator<Item = (String, &'static str, &'static str)>,
) -> Vec<u16> {
    let mut answers = tokio::task::JoinSet::new();
    for (from, user, pwd) in tries {
        let request =
            server.post("/auth/login").header("x-forwarded-for", from).json(&json!({"user": user, "pwd": pwd}));
        answers.spawn(async move { request.send().await.expect("an answer").status().as_u16() });
    }
    answers.join_all().await
}

fn count(statuses: &[u16], status: u16) -> usize {
    statuses.iter().filter(|given| **given == status).count()
}

async fn behind_a_proxy() -> TestServer {
    let proxy = usher_axum::TrustedProxies::new(vec!["127.0.0.0/8".parse().expect("a network")]);
    TestServer::builder().settings(|settings| settings.trusted_proxies = proxy).start().await
}

#[tokio::test]
async fn guesses_at_once_are_no_more_than_guesses_one_by_one() {
    // req K2
    let server = behind_a_proxy().await;
    server.db_add_user("user-alice", "Alice", &["user"]).await;
    server.db_add_user("user-bob", "Bob", &["user"]).await;
    let guess = |from: String| (from, "user-alice", "guess");
    let home = || ("192.0.2.1".to_owned(), "user-alice", "correct horse battery staple");
    assert_eq!(at_once(&server, [home()]).await, [200]);
    let statuses = at_once(&server, (0..40).map(|_| guess("198.51.100.7".to_owned()))).await;
    assert!(matches!(count(&statuses, 401), 10 | 11), "one is forgiven every six seconds: {statuses:?}");
    assert_eq!(count(&statuses, 401) + count(&statuses, 429) + count(&statuses, 503), 40, "{statuses:?}");
    server.clock.advance(Duration::from_mins(2));
    let statuses = at_once(&server, (0..80).map(|number| guess(format!("198.51.100.{number}")))).await;
    assert!(matches!(count(&statuses, 401), 10 | 11), "from many sources: {statuses:?}");
    assert_eq!(at_once(&server, [home()]).await, [200], "Alice is not kept out");
    // One source at many accounts.
    let users: Vec<&'static str> = (0..80).map(|number| &*format!("user-{number}").leak()).collect();
    let (mut judged, start) = (0, server.clock.unix());
    for users in users.chunks(20) {
        let tries = users.iter().map(|user| ("203.0.113.9".to_owned(), *user, "guess"));
        judged += count(&at_once(&server, tries).await, 401);
    }
    // One is forgiven a second while the test runs.
    let seconds = usize::try_from(server.clock.unix().as_seconds() - start.as_seconds()).expect("time goes on");
    assert!((60..=61 + seconds).contains(&judged), "{judged} in {seconds} s");
}

#[tokio::test]
async fn a_crowd_that_knows_its_password_is_not_taken_for_one_that_guesses() {
    // req K2
    let server = behind_a_proxy().await;
    server.db_add_user("user-alice", "Alice", &["user"]).await;
    let right = || ("192.0.2.1".to_owned(), "user-alice", "correct horse battery staple");
    for _ in 0..2 {
        assert_eq!(at_once(&server, (0..15).map(|_| right())).await, [200; 15]);
    }
}

#[tokio::test]
async fn one_sources_burst_leaves_room_for_others() {
    // req K1, K2
    let server = behind_a_proxy().await;
    server.db_add_user("user-alice", "Alice", &["user"]).await;
    let users: Vec<&'static str> = (0..200).map(|number| &*format!("user-{number}").leak()).collect();
    let mut tries: Vec<_> = users.iter().map(|user| ("203.0.113.9".to_owned(), *user, "guess")).collect();
    let home = ("192.0.2.1".to_owned(), "user-alice", "correct horse battery staple");
    tries.extend(std::iter::repeat_n(home, 8));
    let statuses = at_once(&server, tries).await;
    assert_eq!(count(&statuses, 200), 8, "{statuses:?}");
    assert!(count(&statuses, 503) > 0, "{statuses:?}");
}

#[tokio::test]
async fn bad_credentials_from_one_source_are_throttled_on_every_path() {
    // req K2, C6
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    for _ in 0..60 {
        server.connect(Upgrade::at("/http").bearer("a.b.c")).await.err().expect("refused");
    }
    let refused = server.connect(Upgrade::at("/http").bearer("a.b.c")).await.err().expect("refused");
    assert_eq!((refused.status, &refused.problem["code"]), (429, &json!("throttled")));
    assert!(refused.headers.contains_key("retry-after"));
    let mut client = server.connect(Upgrade::at("/only/first_message")).await.expect("waiting");
    client.authenticate("a.b.c").await;
    let (frames, closed) = client.closed().await;
    assert_eq!(closed.code, 4029);
    assert!(frames[1]["retry_after_ms"].as_u64().is_some_and(|wait| wait > 0), "{frames:?}");
    for (what, request) in [
        ("log in", server.post("/auth/login").json(&json!({"user": "user-alice", "pwd": "x"}))),
        ("refresh", server.post("/auth/refresh").json(&json!({"refresh_token": "x"}))),
        ("buy a ticket", server.get("/ws_ticket").bearer_auth("a.b.c")),
    ] {
        assert_eq!(request.send().await.expect("an answer").status(), 429, "{what}");
    }
    // Good credentials are not throttled: nobody behind the same address is kept out.
    server.enter(Upgrade::at("/ws").bearer(&alice.token)).await;
    server.ticket(&alice.token).await;
}

#[tokio::test]
async fn a_forwarded_address_is_not_believed_by_default() {
    // req M5
    let server = TestServer::start().await;
    for number in 0..61 {
        let spoofed = Upgrade::at("/http").bearer("a.b.c").header("x-forwarded-for", &format!("192.0.2.{number}"));
        server.connect(spoofed).await.err().expect("refused");
    }
    assert_eq!(server.connect(Upgrade::at("/http").bearer("a.b.c")).await.err().expect("refused").status, 429);
}

#[tokio::test]
async fn a_user_and_a_session_have_so_many_connections() {
    // req H15
    let server = TestServer::builder()
        .settings(|settings| settings.connections = usher_axum::ConnectionLimits { per_user: 3, per_session: 2 })
        .start()
        .await;
    let one = server.user("user-alice", "Alice").await;
    let other = server.log_in("user-alice").await;
    let too_many = |upgrade: Upgrade| async {
        let (frames, closed) = server.connect(upgrade).await.expect("accepted").closed().await;
        assert!(frames.iter().all(|frame| frame["type"] != "authenticated"), "{frames:?}");
        closed.code
    };
    let first = server.enter(Upgrade::at("/ws").bearer(&one.token)).await;
    let second = server.enter(Upgrade::at("/ws").cookie(&one.cookie)).await;
    assert_eq!(too_many(Upgrade::at("/ws").bearer(&one.token)).await, 4029, "a third of the session");
    let third = server.enter(Upgrade::at("/ws").bearer(&other.token)).await;
    assert_eq!(too_many(Upgrade::at("/ws").bearer(&other.token)).await, 4029, "a fourth of the user");
    first.close().await;
    server.enter(Upgrade::at("/ws").bearer(&one.token)).await;
    drop((second, third));
}

#[tokio::test]
async fn a_client_that_sends_too_fast_is_closed() {
    // req M11
    let rate = usher_auth::throttle::MessageRate { interval: Duration::from_hours(1), burst: 5 };
    let server = TestServer::builder().settings(|settings| settings.messages = rate).start().await;
    let alice = server.user("user-alice", "Alice").await;
    let mut client = server.enter(Upgrade::at("/ws").bearer(&alice.token)).await;
    for _ in 0..5 {
        assert!(client.ping().await.is_empty());
    }
    client.send(&json!({"type": "ping"})).await;
    let (frames, closed) = client.closed().await;
    assert_eq!((closed.code, frames.len()), (4029, 1));
    assert!(frames[0]["retry_after_ms"].as_u64().is_some_and(|wait| wait > 0), "{frames:?}");
}
