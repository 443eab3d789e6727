//! Log-ins share what hashes passwords: no source and no account keeps others out, with right passwords or wrong ones (req K2).

use std::time::Duration;

use serde_json::json;
use usher_auth::protocol::SockJsDialect;
use usher_auth::throttle::AttemptRate;
use usher_axum::{LoginLimits, TrustedProxies};
use usher_testkit::TestServer;

const PASSWORD: &str = "correct horse battery staple";

fn proxy() -> TrustedProxies {
    TrustedProxies::new(vec!["127.0.0.0/8".parse().expect("a network")])
}

fn log_in(server: &TestServer, from: &str, user: &str) -> reqwest::RequestBuilder {
    server.post("/auth/login").header("x-forwarded-for", from).json(&json!({"user": user, "pwd": PASSWORD}))
}

#[tokio::test]
async fn two_sources_with_one_account_keep_nobody_out() {
    // req K2
    let server = TestServer::builder().settings(|settings| settings.trusted_proxies = proxy()).start().await;
    for user in ["mallory", "user-alice", "user-bob", "user-carol"] {
        server.db_add_user(user, user, &["user"]).await;
    }
    let mut crowd = tokio::task::JoinSet::new();
    for number in 0..200 {
        let request = log_in(&server, ["203.0.113.1", "203.0.113.2"][number % 2], "mallory");
        crowd.spawn(async move { request.send().await.expect("an answer").status().as_u16() });
    }
    // Once one of them is turned away, there is no room for one more.
    while let Some(status) = crowd.join_next().await {
        if status.expect("no panic") == 503 {
            break;
        }
    }
    assert!(!crowd.is_empty(), "all were let in: there was no crowd");
    let others = ["user-alice", "user-bob", "user-carol"].iter().enumerate().map(|(number, user)| {
        let request = log_in(&server, &format!("198.51.100.{number}"), user);
        async move { request.send().await.expect("an answer").status().as_u16() }
    });
    assert_eq!(futures_util::future::join_all(others).await, [200; 3]);
}

#[tokio::test]
async fn log_ins_that_succeed_have_a_rate_on_every_path() {
    // req K2
    let rate = |attempts| AttemptRate { attempts, per: Duration::from_mins(1) };
    let server = TestServer::builder()
        .settings(|settings| {
            settings.trusted_proxies = proxy();
            settings.logins = LoginLimits { per_account: rate(3), per_source: rate(4) };
            settings.sockjs = Some(usher_testkit::sockjs(SockJsDialect { lenient: true, octoprint: true }));
        })
        .start()
        .await;
    for user in ["user-alice", "user-bob", "user-carol"] {
        server.db_add_user(user, user, &["user"]).await;
    }
    let paths = |from: &'static str, user: &'static str| {
        [
            log_in(&server, from, user),
            server.get("/auth").header("x-forwarded-for", from).basic_auth(user, Some(PASSWORD)),
            server.post("/api/login").header("x-forwarded-for", from).json(&json!({"user": user, "pass": PASSWORD})),
        ]
    };
    for request in paths("192.0.2.1", "user-alice") {
        assert_eq!(request.send().await.expect("an answer").status(), 200);
    }
    for request in paths("192.0.2.2", "user-alice") {
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), 429, "the account has logged in three times");
        let wait: u64 = answer.headers()["retry-after"].to_str().expect("text").parse().expect("seconds");
        assert!((1..=20).contains(&wait), "{wait}");
    }
    // The source has one left, whosever account it is.
    assert_eq!(log_in(&server, "192.0.2.1", "user-bob").send().await.expect("an answer").status(), 200);
    for request in paths("192.0.2.1", "user-carol") {
        assert_eq!(request.send().await.expect("an answer").status(), 429);
    }
    assert_eq!(log_in(&server, "192.0.2.3", "user-carol").send().await.expect("an answer").status(), 200);
    let records = server.audit_records().await;
    assert!(records.iter().any(|record| record["reason"] == "too_many_logins"), "{records:?}");
    server.clock.advance(Duration::from_secs(21));
    assert_eq!(log_in(&server, "192.0.2.4", "user-alice").send().await.expect("an answer").status(), 200);
}
