//! What a request may cost before it is understood (req A7, A8), and what every answer carries (req O1–O3).

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use usher_testkit::{TestServer, raw_request};

#[tokio::test]
async fn floods_of_headers_are_cut_off() {
    // req A7, CVE-2023-43669
    let server = TestServer::start().await;
    let huge = format!("GET /ws HTTP/1.1\r\nHost: a\r\nX-Huge: {}\r\n\r\n", "x".repeat(1024 * 1024));
    assert_eq!(raw_request(&server.url, huge.as_bytes()).await.status, 431);
    let many: String = (0..10_000).map(|number| format!("X-{number}: y\r\n")).collect();
    let many = format!("GET /ws HTTP/1.1\r\nHost: a\r\n{many}\r\n");
    assert_eq!(raw_request(&server.url, many.as_bytes()).await.status, 431);
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(100_000));
    assert!(matches!(raw_request(&server.url, long.as_bytes()).await.status, 414 | 431));
    assert_eq!(server.get("/healthz").send().await.expect("an answer").status(), 200);
}

#[tokio::test]
async fn a_head_in_single_bytes_is_still_a_head() {
    // req A7
    let server = TestServer::start().await;
    let mut stream =
        TcpStream::connect(server.url.socket_addrs(|| None).expect("an address")[0]).await.expect("connected");
    stream.set_nodelay(true).expect("a socket");
    let padding = "x".repeat(2_000);
    for byte in format!("GET /healthz HTTP/1.1\r\nHost: a\r\nX-Padding: {padding}\r\nConnection: close\r\n\r\n").bytes()
    {
        stream.write_all(&[byte]).await.expect("written");
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the test measures a bound on real time")]
async fn a_head_that_does_not_end_is_not_waited_for() {
    // req A8
    let server = TestServer::start().await;
    let address = server.url.socket_addrs(|| None).expect("an address")[0];
    let start = Instant::now();
    let mut slow = Vec::new();
    for partial in ["", "GET /ws HTTP/1.1\r\n", "GET /ws HTTP/1.1\r\nHost: a\r\nX-Slow: "] {
        let mut stream = TcpStream::connect(address).await.expect("connected");
        stream.write_all(partial.as_bytes()).await.expect("written");
        slow.push((partial, stream));
    }
    // A good client is served meanwhile.
    assert_eq!(server.get("/healthz").send().await.expect("an answer").status(), 200);
    for (partial, mut stream) in slow {
        let mut rest = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(15), stream.read_to_end(&mut rest)).await;
        assert!(read.is_ok(), "{partial:?} is still open");
        let after = start.elapsed();
        assert!(after < Duration::from_secs(12), "{partial:?} was closed after {after:?}");
    }
}

#[tokio::test]
async fn every_answer_is_a_problem_or_an_answer() {
    // req O1, O2, O3
    let server = TestServer::start().await;
    let method = |name: &str| reqwest::Method::from_bytes(name.as_bytes()).expect("a method");
    for (name, path, status) in [
        ("GET", "/nowhere", 404),
        ("GET", "/auth/logout", 405),
        ("GET", "/auth/login", 405),
        ("DELETE", "/auth/login", 405),
        ("TRACE", "/healthz", 405),
        ("PUT", "/ws_ticket", 405),
        ("GET", "/auth/../auth/session/", 404),
    ] {
        let answer = server.http.request(method(name), server.at(path)).send().await.expect("an answer");
        assert_eq!(answer.status(), status, "{name} {path}");
        let headers = answer.headers();
        assert_eq!(headers["content-type"], "application/problem+json", "{name} {path}");
        assert_eq!(headers["x-content-type-options"], "nosniff", "{name} {path}");
        assert_eq!(headers["referrer-policy"], "no-referrer", "{name} {path}");
        assert_eq!(headers["cache-control"], "no-store", "{name} {path}");
        assert!(!headers.contains_key("server"), "{name} {path}");
        assert_eq!(headers.contains_key("allow"), status == 405, "{name} {path}");
        let problem: serde_json::Value = answer.json().await.expect("a problem");
        assert_eq!(problem["status"], status);
        let code = problem["code"].as_str().expect("a code");
        assert_eq!(problem["type"], format!("urn:usher:problem:{code}"));
    }
}
