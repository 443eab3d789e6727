//! What a request may cost before it is understood (req A7, A8), and what every answer carries (req O1–O3).

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use usher_axum::TrustedProxies;
use usher_server::listener::{Entrance, HttpLimits};
use usher_testkit::{TestServer, Upgrade, raw_request};

/// Longest a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(15);

async fn server(limits: HttpLimits) -> TestServer {
    TestServer::builder().entrance(Entrance { limits, ..Entrance::default() }).start().await
}

async fn connect(server: &TestServer, first: &str) -> TcpStream {
    let address = server.url.socket_addrs(|| None).expect("an address")[0];
    let mut stream = TcpStream::connect(address).await.expect("connected");
    stream.write_all(first.as_bytes()).await.expect("written");
    stream
}

/// What the server says until it closes.
async fn until_closed(mut stream: TcpStream) -> String {
    let mut rest = Vec::new();
    // A reset is an end like any other.
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("closed in time");
    String::from_utf8(rest).expect("text")
}

async fn is_served(server: &TestServer) -> bool {
    let answer = tokio::time::timeout(PATIENCE, server.get("/healthz").send()).await.expect("an answer in time");
    answer.is_ok_and(|answer| answer.status() == 200)
}

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
    // The bound is what the documents say: 32 KiB, and not a buffer that happened to be larger.
    for (padding, status) in [(32 * 1024 - 200, 200), (32 * 1024, 431), (40_000, 431)] {
        let request = format!("GET /healthz HTTP/1.1\r\nHost: a\r\nX-Padding: {}\r\n\r\n", "x".repeat(padding));
        assert_eq!(raw_request(&server.url, request.as_bytes()).await.status, status, "{padding}");
    }
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
async fn a_body_that_does_not_come_is_not_waited_for() {
    // req A8
    let server = server(HttpLimits { body: Duration::from_millis(200), ..HttpLimits::default() }).await;
    let head = "HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n";
    for (path, sized) in [
        ("/auth/login", "Content-Length: 1000\r\n\r\n{"),
        ("/auth/refresh", "Transfer-Encoding: chunked\r\n\r\n1\r\n{"),
    ] {
        let stream = connect(&server, &format!("POST {path} {head}{sized}")).await;
        let answer = until_closed(stream).await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert!(answer.contains("connection: close") && answer.contains("\"code\":\"request_timeout\""), "{answer}");
    }
    // Where no body is wanted, none is waited for.
    let stream = connect(&server, &format!("POST /nowhere {head}Content-Length: 1000\r\n\r\n{{")).await;
    assert!(until_closed(stream).await.starts_with("HTTP/1.1 404 "));
}

#[tokio::test]
async fn who_sends_no_body_or_takes_no_answer_gives_the_place_up() {
    // req A8
    let unread = "GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n".repeat(2_000);
    let unsent = "POST /auth/login HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{".to_owned();
    for request in [unread, unsent] {
        let limits = HttpLimits { exchange: Duration::from_millis(300), connections: 1, ..HttpLimits::default() };
        let server = server(limits).await;
        let stream = connect(&server, &request).await;
        assert!(is_served(&server).await, "the only place was not given up");
        drop(stream);
    }
}

#[tokio::test]
async fn one_source_does_not_take_all_places() {
    // req A8, E3
    let limits = HttpLimits { connections: 10, connections_per_source: 4, ..HttpLimits::default() };
    let crowded = server(limits).await;
    let alice = crowded.user("user-alice", "Alice").await;
    // An upgraded connection takes no place.
    let mut upgraded = Vec::new();
    for _ in 0..20 {
        upgraded.push(crowded.enter(Upgrade::at("/ws").bearer(&alice.token)).await);
    }
    let mut slow = Vec::new();
    for _ in 0..4 {
        slow.push(connect(&crowded, "GET /healthz HTTP/1.1\r\n").await);
    }
    let one_more = connect(&crowded, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(until_closed(one_more).await, "", "one source has four places");
    let neighbour = TcpSocket::new_v4().expect("a socket");
    neighbour.bind("127.0.0.2:0".parse().expect("an address")).expect("a loopback address");
    let address = crowded.url.socket_addrs(|| None).expect("an address")[0];
    let mut neighbour = neighbour.connect(address).await.expect("connected");
    neighbour.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.expect("written");
    assert!(until_closed(neighbour).await.starts_with("HTTP/1.1 200 "), "its neighbour is served");
    for client in &mut upgraded {
        assert!(client.ping().await.is_empty());
    }

    let trusted_proxies = TrustedProxies::new(vec!["127.0.0.0/8".parse().expect("a network")]);
    let entrance = Entrance { trusted_proxies, limits, ..Entrance::default() };
    let proxied = TestServer::builder().entrance(entrance).start().await;
    for _ in 0..4 {
        slow.push(connect(&proxied, "GET /healthz HTTP/1.1\r\n").await);
    }
    assert!(is_served(&proxied).await, "a trusted proxy brings many");
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

#[tokio::test]
async fn a_stream_outlives_the_bounds_of_an_exchange_and_holds_no_place() {
    // req A8: a SockJS stream is an answer that has no end of its own
    let limits =
        HttpLimits { exchange: Duration::from_millis(200), connections_per_source: 3, ..HttpLimits::default() };
    let server = server(limits).await;
    let alice = server.user("alice", "Alice").await;
    let open = |session: usize| {
        let stream = server.post(&format!("/sockjs/000/s{session}/xhr_streaming")).bearer_auth(&alice.token);
        async move { stream.send().await.expect("an answer") }
    };
    let mut streams = Vec::new();
    for session in 0..6 {
        let stream = open(session).await;
        assert_eq!(
            (stream.status().as_u16(), &stream.headers()["connection"]),
            (200, &"close".parse().expect("a value"))
        );
        streams.push(stream);
    }
    for (session, stream) in streams.iter_mut().enumerate() {
        // Later than an exchange may take, the stream still brings what is sent.
        let mut text = String::new();
        while !text.contains("authenticated") {
            text.push_str(std::str::from_utf8(&stream.chunk().await.expect("a chunk").expect("more")).expect("text"));
        }
        if session == 0 {
            let overdue = TcpStream::connect(server.url.socket_addrs(|| None).expect("an address")[0]).await;
            let mut overdue = overdue.expect("a connection");
            overdue.write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("written");
            let mut rest = Vec::new();
            overdue.read_to_end(&mut rest).await.expect("read to its end, which its bound brings");
        }
        let body = serde_json::json!([serde_json::json!({"type": "ping"}).to_string()]).to_string();
        let sent = server.post(&format!("/sockjs/000/s{session}/xhr_send")).bearer_auth(&alice.token).body(body);
        assert_eq!(sent.send().await.expect("an answer").status(), 204);
        while !text.contains("pong") {
            text.push_str(std::str::from_utf8(&stream.chunk().await.expect("a chunk").expect("more")).expect("text"));
        }
    }
}

/// A connection from another source than the tests' other clients. It takes little at a time.
async fn connect_as_stranger(server: &TestServer) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(2048).expect("a small window");
    socket.bind("127.0.0.9:0".parse().expect("an address")).expect("a loopback address");
    let address = server.url.socket_addrs(|| None).expect("an address")[0];
    socket.connect(address).await.expect("connected")
}

#[tokio::test]
async fn an_answer_that_its_client_does_not_take_ends_soon_after_its_session() {
    // req A8, H13: in no budget but that of open files, with all that its session had queued.
    for call in ["xhr_streaming", "xhr"] {
        ends_soon_after_its_session(call).await;
    }
}

async fn ends_soon_after_its_session(call: &str) {
    const MOST: usize = 3;
    let limits = HttpLimits { head: PATIENCE * 4, sockets_per_source: MOST, ..HttpLimits::default() };
    let entrance = Entrance {
        limits,
        // The other clients of this test are no source.
        trusted_proxies: TrustedProxies::new(vec!["127.0.0.1/32".parse().expect("a network")]),
        ..Entrance::default()
    };
    let builder = TestServer::builder().entrance(entrance);
    let settings = |settings: &mut usher_server::server::ServerSettings| {
        settings.outbound_limit = 32 << 20;
        settings.sockjs.as_mut().expect("an endpoint").response_bytes = 32 << 20;
    };
    let server = builder.settings(settings).start().await;
    let alice = server.user("alice", "Alice").await;
    let bob = server.user("bob", "Bob").await;
    let post = async |call: &str, body: String| {
        let request = server.post(&format!("/sockjs/000/slow/{call}")).bearer_auth(&alice.token).body(body);
        request.send().await.expect("an answer").text().await.expect("text")
    };
    assert_eq!(post("xhr", String::new()).await, "o\n");
    assert!(post("xhr", String::new()).await.contains("authenticated"));
    let join = serde_json::json!([serde_json::json!({"type": "join", "room": "board-1"}).to_string()]);
    post("xhr_send", join.to_string()).await;
    assert!(post("xhr", String::new()).await.contains("joined"));
    // Much more than the kernel takes by itself.
    let mut publisher = server.enter(Upgrade::at("/ws").bearer(&bob.token)).await;
    publisher.join("board-1").await;
    let message = serde_json::json!({"type": "publish", "room": "board-1", "data": "x".repeat(60_000)});
    for _ in 0..150 {
        publisher.send(&message).await;
    }
    publisher.ping().await;
    let mut stream = connect_as_stranger(&server).await;
    let request = format!(
        "POST /sockjs/000/slow/{call} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nContent-Length: 0\r\n\r\n",
        alice.token
    );
    stream.write_all(request.as_bytes()).await.expect("written");
    assert_eq!(stream.read_u8().await.expect("it is answered"), b'H');
    let mut held = Vec::new();
    for _ in 1..MOST {
        held.push(connect_as_stranger(&server).await);
    }
    assert_eq!(until_closed(connect_as_stranger(&server).await).await, "", "the source has no place left");
    server.post("/auth/logout").bearer_auth(&alice.token).send().await.expect("an answer");
    let its_place_is_free = async {
        loop {
            let mut again = connect_as_stranger(&server).await;
            let _ = again.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
            if until_closed(again).await.starts_with("HTTP/1.1 200 ") {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, its_place_is_free).await.expect("the stream gives its place up");
    drop((stream, held));
}
