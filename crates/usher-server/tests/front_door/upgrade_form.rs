//! The form of an upgrade request (req A2–A4, A9, C3–C5): wrong ones are answered before any look at a credential.

use usher_testkit::{TestServer, raw_request};

const GOOD: [(&str, &str); 6] = [
    ("Host", "127.0.0.1"),
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("Sec-WebSocket-Version", "13"),
    ("Accept", "*/*"),
];

fn request(line: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut request = format!("{line}\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    request.into_bytes()
}

/// The good headers with one replaced, or left out where the value is `None`.
fn with(name: &str, value: Option<&'static str>) -> Vec<(&'static str, &'static str)> {
    let replaced = GOOD
        .into_iter()
        .filter_map(|(own, given)| if own == name { value.map(|value| (own, value)) } else { Some((own, given)) });
    replaced.collect()
}

const LINE: &str = "GET /ws HTTP/1.1";

/// Every kind of endpoint that is opened with an upgrade: a route, SockJS with frames, and SockJS without.
const ENDPOINTS: [&str; 3] = ["/ws", "/sockjs/000/abc/websocket", "/sockjs/websocket"];

/// Malformed upgrades to `path`, each with what is wrong and the status that it gets.
fn malformed(path: &str) -> Vec<(&'static str, u16, Vec<u8>)> {
    let line = &format!("GET {path} HTTP/1.1");
    vec![
        ("no Host", 400, request(line, &with("Host", None))),
        ("two Hosts", 400, request(line, &[&GOOD[..], &[("Host", "other")]].concat())),
        ("a Host that is none", 400, request(line, &with("Host", Some("a b")))),
        ("no Upgrade", 400, request(line, &with("Upgrade", None))),
        ("another Upgrade", 400, request(line, &with("Upgrade", Some("h2c")))),
        ("empty Upgrade", 400, request(line, &with("Upgrade", Some("")))),
        ("no Connection", 400, request(line, &with("Connection", None))),
        ("Connection: close", 400, request(line, &with("Connection", Some("close")))),
        ("Connection: keep-alive", 400, request(line, &with("Connection", Some("keep-alive")))),
        ("no key", 400, request(line, &with("Sec-WebSocket-Key", None))),
        ("empty key", 400, request(line, &with("Sec-WebSocket-Key", Some("")))),
        ("short key", 400, request(line, &with("Sec-WebSocket-Key", Some("c2hvcnQ=")))),
        ("long key", 400, request(line, &with("Sec-WebSocket-Key", Some("dGhpcyBub25jZSBpcyB0b28gbG9uZw==")))),
        ("key without padding", 400, request(line, &with("Sec-WebSocket-Key", Some("dGhlIHNhbXBsZSBub25jZQ")))),
        ("key not base64", 400, request(line, &with("Sec-WebSocket-Key", Some("!!!!!!!!!!!!!!!!!!!!!!==")))),
        ("key with stray bits", 400, request(line, &with("Sec-WebSocket-Key", Some("dGhlIHNhbXBsZSBub25jZR==")))),
        ("two keys", 400, request(line, &[&GOOD[..], &[("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")]].concat())),
        ("no version", 400, request(line, &with("Sec-WebSocket-Version", None))),
        ("version 8", 426, request(line, &with("Sec-WebSocket-Version", Some("8")))),
        ("version 14", 426, request(line, &with("Sec-WebSocket-Version", Some("14")))),
        ("version thirteen", 426, request(line, &with("Sec-WebSocket-Version", Some("thirteen")))),
        ("two versions", 426, request(line, &[&GOOD[..], &[("Sec-WebSocket-Version", "13")]].concat())),
        ("a version beside another", 426, request(line, &[&GOOD[..], &[("Sec-WebSocket-Version", "8")]].concat())),
        ("HTTP/1.0", 400, request(&format!("GET {path} HTTP/1.0"), &GOOD)),
        ("POST", 405, request(&format!("POST {path} HTTP/1.1"), &GOOD)),
        ("HEAD", 405, request(&format!("HEAD {path} HTTP/1.1"), &GOOD)),
        ("PUT", 405, request(&format!("PUT {path} HTTP/1.1"), &GOOD)),
        ("a body", 400, [request(line, &[&GOOD[..], &[("Content-Length", "5")]].concat()), b"hello".to_vec()].concat()),
        ("a chunked body", 400, request(line, &[&GOOD[..], &[("Transfer-Encoding", "chunked")]].concat())),
    ]
}

#[tokio::test]
async fn malformed_upgrades_to_every_endpoint() {
    // req A2
    let server = TestServer::start().await;
    for path in ENDPOINTS {
        for (what, status, request) in malformed(path) {
            let answer = raw_request(&server.url, &request).await;
            assert_eq!(answer.status, status, "{what} at {path}: {}", answer.head);
            match status {
                426 => {
                    assert_eq!(answer.header("sec-websocket-version"), Some("13"), "{what} at {path}");
                    assert_eq!(answer.header("upgrade"), Some("websocket"), "{what} at {path}");
                }
                405 => assert_eq!(answer.header("allow"), Some("GET"), "{what} at {path}"),
                // SockJS answers in plain text.
                _ if path == "/ws" => {
                    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{what}");
                }
                _ => {}
            }
        }
        let answer = raw_request(&server.url, &request(&format!("GET {path} HTTP/1.1"), &GOOD)).await;
        assert_eq!(answer.status, 101, "a good one at {path}: {}", answer.head);
    }
    // The process and every other connection go on.
    assert_eq!(server.get("/healthz").send().await.expect("an answer").status(), 200);
}

#[tokio::test]
async fn well_formed_ones_in_other_spellings() {
    // req A2, A3
    let server = TestServer::start().await;
    for (what, headers) in [
        ("mixed case", with("Upgrade", Some("WebSocket"))),
        ("upper case", with("Connection", Some("UPGRADE"))),
        ("a list", with("Connection", Some("keep-alive, Upgrade"))),
    ] {
        let answer = raw_request(&server.url, &request(LINE, &headers)).await;
        assert_eq!(answer.status, 101, "{what}");
        // RFC 6455 §1.3's own example.
        assert_eq!(answer.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{what}");
        assert_eq!(answer.header("sec-websocket-protocol"), None, "{what}: none was offered (req A4)");
        assert_eq!(answer.header("sec-websocket-extensions"), None, "{what}");
    }
}

#[tokio::test]
async fn a_subprotocol_is_echoed_if_it_is_ours() {
    // req A4
    let server = TestServer::start().await;
    for (offered, chosen) in [
        ("usher.v1", Some("usher.v1")),
        ("a, usher.v1,b", Some("usher.v1")),
        ("a, b", None),
        ("Usher.V1", None),
        (",,,", None),
    ] {
        let headers = [&GOOD[..], &[("Sec-WebSocket-Protocol", offered)]].concat();
        let answer = raw_request(&server.url, &request(LINE, &headers)).await;
        assert_eq!((answer.status, answer.header("sec-websocket-protocol")), (101, chosen), "{offered}");
    }
}

#[tokio::test]
async fn a_long_list_of_subprotocols_costs_nothing() {
    // CVE-2021-32640, CVE-2020-7662
    let server = TestServer::start().await;
    let long = format!("a{}", " ".repeat(20_000));
    let headers =
        [&GOOD[..], &[("Sec-WebSocket-Protocol", long.as_str()), ("Sec-WebSocket-Extensions", long.as_str())]].concat();
    let answer = raw_request(&server.url, &request(LINE, &headers)).await;
    assert!(matches!(answer.status, 101 | 431), "{}", answer.status);
}

#[tokio::test]
async fn the_bearer_subprotocol_must_be_well_formed() {
    // req C3
    let server = TestServer::start().await;
    let prefix = "base64url.bearer.authorization.k8s.io.";
    for (what, offered) in [
        ("padding", format!("{prefix}YQ==, usher.v1")),
        ("a slash", format!("{prefix}YQ/a, usher.v1")),
        ("two bearers", format!("{prefix}YQ, {prefix}Yg, usher.v1")),
        ("nothing beside it", format!("{prefix}YQ")),
        ("another protocol beside it", format!("{prefix}YQ, chat")),
    ] {
        let headers = [&GOOD[..], &[("Sec-WebSocket-Protocol", offered.as_str())]].concat();
        let answer = raw_request(&server.url, &request(LINE, &headers)).await;
        assert_eq!(answer.status, 400, "{what}");
        assert_eq!(answer.header("sec-websocket-protocol"), None, "{what}");
    }
}

#[tokio::test]
async fn the_authorization_header_must_be_well_formed() {
    // req C4
    let server = TestServer::start().await;
    for (value, status) in [
        ("Bearer  two.spaces.here", 400),
        ("Bearer a.b.c, Bearer d.e.f", 400),
        ("Bearer a b", 400),
        ("Bearer", 400),
        ("BEARER a.b.c", 401),
        ("bearer a.b.c", 401),
    ] {
        let headers = [&GOOD[..], &[("Authorization", value)]].concat();
        assert_eq!(raw_request(&server.url, &request(LINE, &headers)).await.status, status, "{value}");
    }
    let with_nul =
        [&request(LINE, &GOOD)[..request(LINE, &GOOD).len() - 2], b"Authorization: Bearer a\0b\r\n\r\n"].concat();
    assert_eq!(raw_request(&server.url, &with_nul).await.status, 400);
}

#[tokio::test]
async fn challenges_say_what_was_wrong_and_no_more() {
    // req C5, F17
    let server = TestServer::start().await;
    let header_route = "GET /only/header HTTP/1.1";
    let without = raw_request(&server.url, &request(header_route, &GOOD)).await;
    assert_eq!((without.status, without.header("www-authenticate")), (401, Some("Bearer realm=\"usher\"")));
    let bad =
        raw_request(&server.url, &request(header_route, &[&GOOD[..], &[("Authorization", "Bearer a.b.c")]].concat()))
            .await;
    assert_eq!(
        (bad.status, bad.header("www-authenticate")),
        (401, Some("Bearer realm=\"usher\", error=\"invalid_token\""))
    );
    assert_eq!(bad.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn smuggling_and_broken_framing_get_no_second_answer() {
    // req A9: no desync
    let server = TestServer::start().await;
    let smuggled = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
    for (what, head) in [
        ("length and chunks", "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"),
        ("two lengths", "Content-Length: 4\r\nContent-Length: 5\r\n"),
        ("a folded header", "X-A: b\r\n c\r\nContent-Length: x\r\n"),
        ("a bare CR", "X-A: b\rc\r\nContent-Length: -1\r\n"),
    ] {
        let request =
            format!("GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{head}\r\n{smuggled}");
        let answer = raw_request(&server.url, request.as_bytes()).await;
        assert_eq!(answer.status, 400, "{what}");
        assert!(!String::from_utf8_lossy(&answer.body).contains("\"status\":\"ok\""), "{what}");
    }
}
