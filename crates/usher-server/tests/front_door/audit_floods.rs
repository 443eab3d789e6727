//! What is recorded of a great deal: noise, guesses, joins (req N1, N5, K7).

use std::time::Duration;

use serde_json::{Value, json};
use usher_testkit::{TestServer, Upgrade};

use crate::audit::short;

#[tokio::test]
async fn s11_a_flood_is_counted_and_not_written() {
    // req N5
    let server =
        TestServer::builder().settings(|settings| settings.failures.per_source.attempts = 1_000_000).start().await;
    for _ in 0..100 {
        server.connect(Upgrade::at("/http").bearer("not.a.token")).await.err().expect("refused");
    }
    let records = server.audit_records().await;
    assert_eq!(records.len(), 20);
    server.clock.advance(Duration::from_mins(2));
    server.connect(Upgrade::at("/http").bearer("not.a.token")).await.err().expect("refused");
    let records = server.audit_records().await;
    let counted: Vec<&Value> = records.iter().filter(|record| !record["count"].is_null()).collect();
    assert_eq!(counted.len(), 1, "{records:#?}");
    assert_eq!(
        (short(counted[0]).as_str(), &counted[0]["count"]),
        ("authn_login_fail failure invalid_token header -", &json!(80))
    );
    assert!(counted[0]["first"].is_string() && counted[0]["last"].is_string() && counted[0]["connection"].is_null());
}

#[tokio::test]
async fn joins_are_recorded_if_asked_for() {
    // req N1
    for asked_for in [false, true] {
        let builder = TestServer::builder();
        let server = if asked_for { builder.audit_joins() } else { builder }.start().await;
        let alice = server.user("user-alice", "Alice").await;
        let mut socket = server.enter(Upgrade::at("/ws").bearer(&alice.token)).await;
        socket.join("board-1").await;
        socket.join("board-1").await;
        socket.send(&json!({"type": "join", "room": "nowhere"})).await;
        socket.expect("error").await;
        let records = server.audit_records().await;
        let joins: Vec<&Value> = records.iter().filter(|record| record["event"] == "room_joined").collect();
        assert_eq!(joins.len(), usize::from(asked_for), "{records:#?}");
        for join in joins {
            assert_eq!(short(join), "room_joined success - header user-alice");
            assert_eq!((&join["room"], &join["route"]), (&json!("board-1"), &json!("/ws")));
            assert!(join["ip"].is_string() && join["connection"].is_string() && join["session"].is_string());
        }
        assert!(records.iter().any(|record| record["reason"] == "join_forbidden"));
    }
}

#[tokio::test]
async fn guesses_at_a_user_are_told_of_whatever_noise_is_made() {
    // req N5, K7
    let server = TestServer::builder()
        .settings(|settings| {
            settings.failures.per_source.attempts = 1_000_000;
            settings.trusted_proxies = usher_axum::TrustedProxies::new(vec!["127.0.0.0/8".parse().expect("a network")]);
        })
        .start()
        .await;
    server.user("user-alice", "Alice").await;
    // More than is written one by one of what needs no credential, from more addresses than are counted apart.
    for n in 0..120_u8 {
        let source = format!("10.0.0.{n}");
        for _ in 0..20 {
            server
                .get("/auth/session")
                .header("x-forwarded-for", &source)
                .bearer_auth("x")
                .send()
                .await
                .expect("an answer");
        }
    }
    for _ in 0..5 {
        let guess = json!({"user": "user-alice", "pwd": "guess"});
        server.post("/auth/login").header("x-forwarded-for", "10.9.9.9").json(&guess).send().await.expect("an answer");
    }
    let records = server.audit_records().await;
    let guesses: Vec<&Value> = records.iter().filter(|record| record["ip"] == "10.9.9.9").collect();
    assert_eq!(guesses.len(), 5);
    assert!(
        guesses.iter().all(|record| record["subject"] == "user-alice" && record["reason"] == "invalid_credentials")
    );
    server.clock.advance(Duration::from_mins(2));
    server.get("/auth/session").bearer_auth("x").send().await.expect("an answer");
    let records = server.audit_records().await;
    let rest: Vec<&Value> = records.iter().filter(|record| record["count"].is_number()).collect();
    assert_eq!(rest.len(), 1, "{rest:#?}");
    assert_eq!(rest[0]["count"], 400);
    assert_eq!(rest[0]["sources"].as_array().map(Vec::len), Some(10));
    assert_eq!(rest[0]["sources_more"], 10);
    assert_eq!(rest[0]["sources"][0]["count"], 20);
}
