//! The numbers, and the listener that shows them to operators alone (req N6, O4).

use std::collections::BTreeSet;
use std::fs;

use reqwest::header::HOST;
use serde_json::json;
use usher_audit::SinkSetting;
use usher_testkit::{TestServer, Upgrade, raw_request};

/// The value of a series, written as Prometheus writes it.
fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series} in\n{text}")).parse().expect("a number")
}

fn series(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned())).collect()
}

#[tokio::test]
async fn what_happens_is_counted() {
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let mut first = server.enter(Upgrade::at("/ws").bearer(&alice.token)).await;
    let mut second = server.enter(Upgrade::at("/ws").cookie(&alice.cookie)).await;
    first.join("board-1").await;
    server.connect(Upgrade::at("/http").bearer("x")).await.err().expect("refused");
    let _waiting = server.connect(Upgrade::at("/only/first_message")).await.expect("a socket");
    let text = server.metrics().await;
    for (name, expected) in [
        ("usher_connections{state=\"open\"}", 2.0),
        ("usher_connections{state=\"waiting\"}", 1.0),
        ("usher_rooms", 1.0),
        ("usher_connections_opened_total{carrier=\"header\"}", 1.0),
        ("usher_connections_opened_total{carrier=\"cookie\"}", 1.0),
        ("usher_connections_opened_total{carrier=\"query\"}", 0.0),
        ("usher_refusals_total{reason=\"invalid_token\"}", 1.0),
        ("usher_upgrade_seconds_count{result=\"accepted\"}", 3.0),
        ("usher_verify_seconds_count{result=\"bad\"}", 1.0),
        ("usher_revocation_to_close_seconds_count", 0.0),
        ("usher_audit_dropped_total", 0.0),
        ("usher_audit_failing", 0.0),
    ] {
        assert!((value(&text, name) - expected).abs() < f64::EPSILON, "{name}\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
    server.post("/auth/logout?everywhere=true").bearer_auth(&alice.token).send().await.expect("an answer");
    first.closed().await;
    second.closed().await;
    for _ in 0..10_000 {
        let text = server.metrics().await;
        if value(&text, "usher_connections_closed_total{cause=\"revoked\"}") > 1.5 {
            // req H3
            assert!(value(&text, "usher_revocation_to_close_seconds_count") > 1.5);
            assert!(value(&text, "usher_revocation_to_close_seconds_bucket{le=\"1.0\"}") > 1.5);
            return;
        }
    }
    panic!("the ends were not counted");
}

#[tokio::test]
async fn the_number_of_series_does_not_grow_with_users() {
    // req N6
    let server = TestServer::start().await;
    let enter = |n: usize| {
        let server = &server;
        async move {
            let claims = server.mint.sign(&server.mint.claims(&format!("user-{n}")));
            let mut socket = server.enter(Upgrade::at("/ws").bearer(&claims)).await;
            socket.join(&format!("board-{n}")).await;
            server.connect(Upgrade::at("/http").bearer(&format!("bad-{n}"))).await.err().expect("refused");
            socket.close().await;
        }
    };
    enter(0).await;
    let before = series(&server.metrics().await);
    for n in 1..200 {
        enter(n).await;
    }
    let text = server.metrics().await;
    let after = series(&text);
    assert_eq!(after.difference(&before).collect::<Vec<_>>(), [""; 0]);
    for secret in ["user-1", "board-1", "bad-1", "127.0.0.1"] {
        assert!(!text.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn operators_have_a_door_of_their_own() {
    // req O4
    let server = TestServer::start().await;
    assert_eq!(server.get("/metrics").send().await.expect("an answer").status(), 404, "not where clients come in");
    let at = |path: &str| server.admin_url.join(path).expect("a path");
    let get = |path: &str, host: &str| server.http.get(at(path)).header(HOST, host.to_owned()).send();
    for path in ["/metrics", "/healthz", "/readyz"] {
        for host in ["localhost", "localhost:9090", "127.0.0.1:1", "[::1]:9090"] {
            assert_eq!(get(path, host).await.expect("an answer").status(), 200, "{path} {host}");
        }
        for host in ["rebound.evil.test", "localhost.evil.test", "10.0.0.1:9090"] {
            assert_eq!(get(path, host).await.expect("an answer").status(), 421, "{path} {host}");
        }
        assert_eq!(get(path, "metadata@localhost").await.expect("an answer").status(), 400, "{path}: no host");
        assert_eq!(server.http.post(at(path)).send().await.expect("an answer").status(), 405);
    }
    assert_eq!(get("/auth/session", "localhost").await.expect("an answer").status(), 404);
    let text = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nHost: evil.test\r\nConnection: close\r\n\r\n";
    assert_eq!(raw_request(&server.admin_url, text.as_bytes()).await.status, 400, "two hosts");
    let answer = get("/metrics", "localhost").await.expect("an answer");
    assert!(answer.headers()["content-type"].to_str().expect("text").starts_with("application/openmetrics-text"));
    assert_eq!(answer.headers()["cache-control"], "no-store");
}

#[tokio::test]
async fn an_audit_that_fails_shows_in_health_and_metrics() {
    // req N5
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("logs/audit.jsonl");
    let file = SinkSetting::File { path, name: "file:audit.jsonl".to_owned() };
    let server = TestServer::builder().audit(vec![file]).start().await;
    assert_eq!(server.readiness().await, json!({"status": "ok", "audit": "ok"}));
    server.user("user-alice", "Alice").await;
    server.audit.flush().await;
    assert_eq!(
        server.readiness().await,
        json!({"status": "ok", "audit": "failing", "audit_waiting": 2}),
        "connections go on"
    );
    let text = server.metrics().await;
    assert!((value(&text, "usher_audit_failed_total{sink=\"file\"}") - 2.0).abs() < f64::EPSILON);
    assert!((value(&text, "usher_audit_failing") - 1.0).abs() < f64::EPSILON);
    fs::create_dir(folder.path().join("logs")).expect("a folder");
    server.log_in("user-alice").await;
    server.audit.flush().await;
    assert_eq!(server.readiness().await, json!({"status": "ok", "audit": "ok"}));
}
