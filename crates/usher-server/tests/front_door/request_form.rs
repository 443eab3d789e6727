//! The form that every request must have, at every endpoint of every listener (req A9): `Host` and the transfer coding.

use url::Url;
use usher_testkit::{TestServer, raw_request};

/// Requests to all kinds of endpoints, each with a status that is not the one of a malformed request.
const REQUESTS: [(&str, &str); 9] = [
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/openapi.json"),
    ("GET", "/.well-known/jwks.json"),
    ("POST", "/auth/login"),
    ("GET", "/ws"),
    ("GET", "/sockjs/info"),
    ("POST", "/sockjs/000/abc/xhr_send"),
    ("OPTIONS", "/sockjs/000/abc/xhr"),
];

async fn status(base: &Url, request: &str) -> u16 {
    let answer = raw_request(base, request.as_bytes()).await;
    if matches!(answer.status, 400 | 501) {
        assert_eq!(answer.header("connection"), Some("close"), "{request}: {}", answer.head);
    }
    answer.status
}

/// All listeners with all requests that they answer.
fn requests(server: &TestServer) -> Vec<(Url, String, String)> {
    let mut requests: Vec<_> =
        REQUESTS.into_iter().map(|(method, path)| (server.url.clone(), method.to_owned(), path.to_owned())).collect();
    for path in ["/metrics", "/healthz", "/nowhere"] {
        requests.push((server.admin_url.clone(), "GET".to_owned(), path.to_owned()));
    }
    requests
}

#[tokio::test]
async fn a_request_has_one_host_that_is_a_host() {
    // req A9, RFC 9112 §3.2
    let server = TestServer::start().await;
    for (base, method, path) in requests(&server) {
        for (what, version, hosts) in [
            ("none", "1.1", ""),
            ("two", "1.1", "Host: localhost\r\nHost: localhost\r\n"),
            ("two others", "1.1", "Host: localhost\r\nHost: other\r\n"),
            ("an empty one", "1.1", "Host:\r\n"),
            ("a name with a space", "1.1", "Host: local host\r\n"),
            ("a user", "1.1", "Host: user@localhost\r\n"),
            ("a path", "1.1", "Host: localhost/x\r\n"),
            ("a port that is none", "1.1", "Host: localhost:x\r\n"),
            ("two over HTTP/1.0", "1.0", "Host: localhost\r\nHost: localhost\r\n"),
        ] {
            let request = format!("{method} {path} HTTP/{version}\r\n{hosts}Content-Length: 0\r\n\r\n");
            assert_eq!(status(&base, &request).await, 400, "{what}: {method} {path}");
        }
        let good = format!("{method} {path} HTTP/1.1\r\nHost: localhost:80\r\nContent-Length: 0\r\n\r\n");
        let answer = raw_request(&base, good.as_bytes()).await;
        assert!(!String::from_utf8_lossy(&answer.body).contains("malformed_request"), "{method} {path}");
    }
    // HTTP/1.0 knew none.
    assert_eq!(status(&server.url, "GET /healthz HTTP/1.0\r\n\r\n").await, 200);
}

#[tokio::test]
async fn chunked_is_the_only_transfer_coding_and_the_last() {
    // req A9, RFC 9112 §6.1, §6.3
    let server = TestServer::start().await;
    for (base, method, path) in requests(&server) {
        for (coding, expected) in [
            ("Transfer-Encoding: gzip, chunked", 501),
            ("Transfer-Encoding: identity, chunked", 501),
            ("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", 501),
            // Both sentences meet these. A length that cannot be known must be 400 (§6.3); an unknown coding should be 501 (§6.1).
            ("Transfer-Encoding: gzip", 400),
            ("Transfer-Encoding: identity", 400),
            ("Transfer-Encoding: chunked, gzip", 400),
            ("Transfer-Encoding: chunked, chunked", 400),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 400),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip", 400),
        ] {
            let request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{coding}\r\n\r\n0\r\n\r\n");
            assert_eq!(status(&base, &request).await, expected, "{coding}: {method} {path}");
        }
    }
    let chunked = "POST /auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                   Transfer-Encoding: chunked\r\n\r\n1a\r\n{\"user\":\"alice\",\"pwd\":\"x\"}\r\n0\r\n\r\n";
    let answer = raw_request(&server.url, chunked.as_bytes()).await;
    assert_eq!(answer.status, 401, "{}", answer.head);
}

#[tokio::test]
async fn nothing_after_a_malformed_request_is_answered() {
    // req A9: what follows may be the body of what was not understood.
    let server = TestServer::start().await;
    for malformed in ["Host: a\r\nHost: b\r\n", "Host: a\r\nTransfer-Encoding: gzip, chunked\r\n"] {
        let request =
            format!("GET /nowhere HTTP/1.1\r\n{malformed}\r\nGET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes();
        let answer = raw_request(&server.url, &request).await;
        assert!(matches!(answer.status, 400 | 501), "{}", answer.head);
        assert!(!String::from_utf8_lossy(&answer.body).contains("HTTP/1.1"), "{:?}", answer.body);
    }
}
