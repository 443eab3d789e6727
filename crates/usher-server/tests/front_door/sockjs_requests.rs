//! What every request of a SockJS session must bring, over each transport (req B6), and what reaches it.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::tungstenite::Message;
use usher_auth::carriers::Carrier;
use usher_auth::origin::AllowedOrigins;
use usher_auth::protocol::SockJsDialect;
use usher_auth::revocation::{RevocationCause, RevocationTarget};
use usher_auth::route::RouteRules;
use usher_axum::SockJsTransports;
use usher_testkit::{LoggedIn, SockJsClient, TestServer, Upgrade, sockjs};

pub(crate) const PLAIN: SockJsDialect = SockJsDialect { lenient: true, octoprint: false };
/// The page that may use its visitors' cookies.
const ORIGIN: &str = "http://app.test";
/// Transports over which a session can be opened by a request.
const OPENING: [(&str, Method); 5] = [
    ("xhr", Method::POST),
    ("xhr_streaming", Method::POST),
    ("eventsource", Method::GET),
    ("htmlfile?c=x", Method::GET),
    ("jsonp?c=x", Method::GET),
];

async fn start(change: impl FnOnce(&mut usher_axum::SockJsSettings)) -> TestServer {
    let mut settings = sockjs(PLAIN);
    change(&mut settings);
    TestServer::builder().settings(|server| server.sockjs = Some(settings)).start().await
}

/// A server that lets nobody wait, and has every transport on.
async fn strict() -> TestServer {
    start(|settings| {
        settings.transports = SockJsTransports { jsonp: true, iframe: true, htmlfile: true };
        let carriers = [Carrier::Cookie, Carrier::Header, Carrier::Query, Carrier::Ticket].into_iter().collect();
        settings.rules = RouteRules { carriers, ..settings.rules.clone() };
    })
    .await
}

pub(crate) fn request(server: &TestServer, method: &Method, session: &str, transport: &str) -> RequestBuilder {
    let url = server.at(&format!("/sockjs/000/{session}/{transport}"));
    server.http.request(method.clone(), url)
}

pub(crate) fn poll(server: &TestServer, session: &str) -> RequestBuilder {
    request(server, &Method::POST, session, "xhr")
}

pub(crate) async fn send(server: &TestServer, session: &str, message: &Value) -> Response {
    let body = json!([message.to_string()]).to_string();
    request(server, &Method::POST, session, "xhr_send").body(body).send().await.expect("an answer")
}

pub(crate) async fn text(request: RequestBuilder) -> String {
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    answer.text().await.expect("text")
}

pub(crate) async fn status(request: RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.expect("an answer");
    let status = answer.status().as_u16();
    // A stream that was let in does not end.
    if status == 200 { (200, Value::Null) } else { (status, answer.json().await.unwrap_or_default()) }
}

fn with_cookie(request: RequestBuilder, who: &LoggedIn) -> RequestBuilder {
    request.header("cookie", format!("usher={}", who.cookie))
}

#[tokio::test]
async fn no_transport_opens_a_session_without_a_credential() {
    // req B6
    let server = strict().await;
    for (transport, method) in OPENING {
        let (status, problem) = status(request(&server, &method, "nobody", transport)).await;
        assert_eq!((status, &problem["code"]), (401, &json!("missing_credential")), "{transport}");
    }
    for path in ["/sockjs/000/nobody/websocket", "/sockjs/websocket"] {
        let refused = server.connect(Upgrade::at(path)).await.err().expect("refused");
        assert_eq!((refused.status, refused.problem["code"].as_str()), (401, Some("missing_credential")), "{path}");
    }
    assert_eq!(send(&server, "nobody", &json!({})).await.status(), 404);
}

#[tokio::test]
async fn jsonp_iframe_and_htmlfile_are_off_unless_asked_for() {
    // req B6
    let server = TestServer::start().await;
    for path in ["/sockjs/000/a/jsonp?c=x", "/sockjs/000/a/htmlfile?c=x", "/sockjs/iframe.html"] {
        assert_eq!(server.get(path).send().await.expect("an answer").status(), 404, "{path}");
    }
    assert_eq!(server.get("/sockjs/info").send().await.expect("an answer").status(), 200);
    assert_eq!(
        server.get("/sockjs").send().await.expect("an answer").text().await.expect("text"),
        "Welcome to SockJS!\n"
    );
}

#[tokio::test]
async fn every_carrier_of_a_request_opens_a_session() {
    let server = strict().await;
    let alice = server.user("alice", "Alice").await;
    let (_, key) = server.db_api_key("alice", None).await;
    let ticket = server.ticket(&alice.token).await;
    for (carrier, opening) in [
        ("header", poll(&server, "s-bearer").bearer_auth(&alice.token)),
        ("header", poll(&server, "s-key").header("x-api-key", &key)),
        ("query", request(&server, &Method::POST, "s-query", &format!("xhr?token={key}"))),
        ("ticket", request(&server, &Method::POST, "s-ticket", &format!("xhr?ticket={ticket}"))),
        ("cookie", with_cookie(poll(&server, "s-cookie"), &alice).header("origin", ORIGIN)),
    ] {
        let again = opening.try_clone().expect("no body");
        assert_eq!(text(opening).await, "o\n", "{carrier}");
        let messages = text(again).await;
        let said: Vec<String> = serde_json::from_str(messages.trim().trim_start_matches('a')).expect("messages");
        let authenticated: Value = serde_json::from_str(&said[0]).expect("JSON");
        assert_eq!((&authenticated["type"], &authenticated["carrier"]), (&json!("authenticated"), &json!(carrier)));
    }
}

#[tokio::test]
async fn later_requests_bring_what_the_opener_brought() {
    // req B6
    let server = strict().await;
    let alice = server.user("alice", "Alice").await;
    let bob = server.user("bob", "Bob").await;
    let (_, alices) = server.db_api_key("alice", None).await;
    let ours = |request: RequestBuilder| request.header("origin", ORIGIN);
    assert_eq!(text(ours(with_cookie(poll(&server, "by-cookie"), &alice))).await, "o\n");
    assert_eq!(text(poll(&server, "by-header").bearer_auth(&alice.token)).await, "o\n");
    for (what, request, expected) in [
        ("no cookie", ours(poll(&server, "by-cookie")), 401),
        ("another's cookie", ours(with_cookie(poll(&server, "by-cookie"), &bob)), 401),
        ("a foreign page", with_cookie(poll(&server, "by-cookie"), &alice).header("origin", "http://evil.test"), 403),
        ("no header", poll(&server, "by-header"), 401),
        ("another's header", poll(&server, "by-header").bearer_auth(&bob.token), 403),
        ("a bad token", poll(&server, "by-header").bearer_auth("a.b.c"), 401),
        ("two credentials", poll(&server, "by-header").bearer_auth(&alice.token).header("x-api-key", &alices), 400),
    ] {
        assert_eq!(status(request).await.0, expected, "{what}");
    }
    // The same again, and another of the same user.
    for request in
        [ours(with_cookie(poll(&server, "by-cookie"), &alice)), poll(&server, "by-header").bearer_auth(&alice.token)]
    {
        assert!(text(request).await.starts_with("a["));
    }
    let body = json!([json!({"type": "ping"}).to_string()]).to_string();
    let sent = request(&server, &Method::POST, "by-header", "xhr_send").header("x-api-key", &alices).body(body);
    assert_eq!(sent.send().await.expect("an answer").status(), 204);
    let verified = verifications(&server).await;
    assert!(verified > 0);
    assert!(text(poll(&server, "by-header").header("x-api-key", &alices)).await.contains("pong"));
    assert_eq!(verifications(&server).await, verified, "what was proved once is recognised");
    // Who tried is on record.
    let refused = server.audit_records().await;
    assert!(refused.iter().any(|record| record["reason"] == "origin_not_allowed"), "{refused:?}");
}

/// How many credentials have been verified.
async fn verifications(server: &TestServer) -> u64 {
    let metrics = server.metrics().await;
    let counts = metrics.lines().filter(|line| line.starts_with("usher_verify_seconds_count"));
    counts.map(|line| line.rsplit(' ').next().and_then(|count| count.parse::<u64>().ok()).expect("a count")).sum()
}

#[tokio::test]
async fn a_get_with_the_cookie_needs_the_browsers_word_for_its_page() {
    // docs/protocol/sockjs.md
    let server = strict().await;
    let alice = server.user("alice", "Alice").await;
    let open = |session: &str| with_cookie(request(&server, &Method::GET, session, "eventsource"), &alice);
    for (what, request, expected) in [
        ("nothing", open("a"), 403),
        ("cross-site", open("b").header("sec-fetch-site", "cross-site"), 403),
        ("same-site", open("c").header("sec-fetch-site", "same-site"), 403),
        ("two words", open("d").header("sec-fetch-site", "same-origin").header("sec-fetch-site", "same-origin"), 403),
        ("a foreign page", open("e").header("origin", "http://evil.test"), 403),
        ("a page of another host of ours", open("f").header("sec-fetch-site", "same-origin"), 403),
        ("our page", open("i").header("sec-fetch-site", "same-origin").header("host", "app.test"), 200),
        ("a page that is listed", open("g").header("origin", ORIGIN), 200),
    ] {
        assert_eq!(status(request).await.0, expected, "{what}");
    }
    // A program without a cookie has no page.
    let program = request(&server, &Method::GET, "h", "eventsource").bearer_auth(&alice.token);
    assert_eq!(status(program).await.0, 200);
}

#[tokio::test]
async fn only_listed_pages_may_read_answers() {
    let server = TestServer::start().await;
    let answer = |origin: &'static str| server.get("/sockjs/info").header("origin", origin).send();
    let listed = answer(ORIGIN).await.expect("an answer");
    assert_eq!(listed.headers()["access-control-allow-origin"], ORIGIN);
    assert_eq!(listed.headers()["access-control-allow-credentials"], "true");
    assert_eq!(listed.headers().get_all("access-control-allow-origin").iter().count(), 1);
    assert_eq!(listed.headers()["x-content-type-options"], "nosniff");
    let foreign = answer("http://evil.test").await.expect("an answer");
    assert!(!foreign.headers().contains_key("access-control-allow-origin"));
    let preflight = server.http.request(Method::OPTIONS, server.at("/sockjs/000/a/xhr"));
    let preflight = preflight.header("origin", ORIGIN).header("access-control-request-method", "POST");
    let preflight = preflight.send().await.expect("an answer");
    assert_eq!(
        (preflight.status().as_u16(), &preflight.headers()["access-control-allow-origin"]),
        (204, &ORIGIN.parse().expect("a value"))
    );
}

#[tokio::test]
async fn before_anybody_is_in_little_may_be_sent() {
    // req E2
    let server = TestServer::start().await;
    assert_eq!(text(poll(&server, "xhr")).await, "o\n");
    let body = json!(["x".repeat(40_000)]).to_string();
    let sent = request(&server, &Method::POST, "xhr", "xhr_send").body(body.clone()).send().await.expect("an answer");
    assert_eq!(sent.status(), 413);
    let mut socket = SockJsClient::open(&server, Upgrade::at("")).await.expect("a session");
    socket.send_text(&body).await;
    assert_eq!(socket.closed().await.1.code, 1009);
    // Somebody who is in may.
    let alice = server.user("alice", "Alice").await;
    assert_eq!(send(&server, "xhr", &json!({"type": "auth", "token": alice.token})).await.status(), 204);
    assert!(text(poll(&server, "xhr")).await.contains("authenticated"));
    let sent = request(&server, &Method::POST, "xhr", "xhr_send").body(body).send().await.expect("an answer");
    assert_eq!(sent.status(), 204);
}

#[tokio::test]
async fn what_waits_for_a_poll_is_gone_once_a_revocation_is_acknowledged() {
    // req H4
    let server = TestServer::start().await;
    let alice = server.user("alice", "Alice").await;
    let bob = server.user("bob", "Bob").await;
    assert_eq!(text(poll(&server, "slow").bearer_auth(&alice.token)).await, "o\n");
    let join = json!([json!({"type": "join", "room": "board-1"}).to_string()]).to_string();
    let joining = request(&server, &Method::POST, "slow", "xhr_send").bearer_auth(&alice.token).body(join);
    assert_eq!(joining.send().await.expect("an answer").status(), 204);
    let poll_as_alice = || poll(&server, "slow").bearer_auth(&alice.token);
    let mut told = String::new();
    while !told.contains("joined") {
        told = text(poll_as_alice()).await;
    }
    let mut publisher = server.enter(Upgrade::at("/ws").bearer(&bob.token)).await;
    publisher.join("board-1").await;
    for number in 0..100 {
        publisher.send(&json!({"type": "publish", "room": "board-1", "data": {"secret": number}})).await;
    }
    publisher.ping().await;
    let target = RevocationTarget::User {
        user: "alice".parse().expect("an id"),
        issued_before: usher_auth::UnixTime::MAX,
        except: None,
    };
    assert_eq!(server.db_revoke(target, RevocationCause::Logout).await, 1);
    let mut all = String::new();
    let last = loop {
        let frame = text(poll_as_alice()).await;
        if frame.starts_with('c') {
            break frame;
        }
        all.push_str(&frame);
    };
    assert_eq!(last, "c[4004,\"Session ended\"]\n");
    assert!(all.contains("bye") && !all.contains("secret"), "{all}");
}

#[tokio::test]
async fn a_client_that_does_not_fetch_is_closed_as_any_slow_one() {
    // req M3
    let server = TestServer::builder().settings(|settings| {
        settings.sockjs = Some(sockjs(PLAIN));
        settings.outbound_limit = 64 * 1024;
    });
    let server = server.start().await;
    let alice = server.user("alice", "Alice").await;
    let bob = server.user("bob", "Bob").await;
    let poll_as_alice = || poll(&server, "slow").bearer_auth(&alice.token);
    assert_eq!(text(poll_as_alice()).await, "o\n");
    let join = json!([json!({"type": "join", "room": "board-1"}).to_string()]).to_string();
    let joining = request(&server, &Method::POST, "slow", "xhr_send").bearer_auth(&alice.token).body(join);
    assert_eq!(joining.send().await.expect("an answer").status(), 204);
    let mut told = String::new();
    while !told.contains("joined") {
        told = text(poll_as_alice()).await;
    }
    let mut publisher = server.enter(Upgrade::at("/ws").bearer(&bob.token)).await;
    publisher.join("board-1").await;
    let data = "x".repeat(10_000);
    for _ in 0..20 {
        publisher.send(&json!({"type": "publish", "room": "board-1", "data": data})).await;
    }
    publisher.ping().await;
    let last = loop {
        let frame = text(poll_as_alice()).await;
        if frame.starts_with('c') {
            break frame;
        }
    };
    assert_eq!(last, "c[4010,\"Slow consumer\"]\n");
}

#[tokio::test]
async fn a_drain_reaches_sessions_that_nobody_fetches_from_at_the_moment() {
    let server = TestServer::start().await;
    let alice = server.user("alice", "Alice").await;
    let poll_as_alice = || poll(&server, "idle").bearer_auth(&alice.token);
    assert_eq!(text(poll_as_alice()).await, "o\n");
    let fetch = async {
        let mut all = String::new();
        while !all.contains("c[1012") {
            all.push_str(&text(poll_as_alice()).await);
        }
        assert_eq!(status(poll(&server, "new").bearer_auth(&alice.token)).await.0, 503);
        all
    };
    // It is over when the close frame has been fetched.
    let (left, all) = tokio::join!(server.server().drain(Duration::from_mins(1)), fetch);
    assert!(left == 0 && all.contains("bye"), "{all}");
}

#[tokio::test]
async fn a_drain_waits_for_a_close_frame_that_is_not_fetched_no_longer_than_it_may() {
    // req H14
    let server = start(|settings| settings.disconnect_delay = Duration::from_mins(1)).await;
    let alice = server.user("alice", "Alice").await;
    assert_eq!(text(poll(&server, "gone").bearer_auth(&alice.token)).await, "o\n");
    assert_eq!(server.server().drain(Duration::from_millis(300)).await, 1);
    let told = text(poll(&server, "gone").bearer_auth(&alice.token)).await;
    assert!(told.contains("bye"), "{told}");
    assert_eq!(server.server().drain(Duration::from_millis(300)).await, 1, "the close frame has not been fetched");
    assert!(text(poll(&server, "gone").bearer_auth(&alice.token)).await.starts_with("c[1012"));
    assert_eq!(server.server().drain(Duration::from_mins(1)).await, 0);
}

#[tokio::test]
async fn a_poll_whose_client_leaves_takes_no_message_with_it() {
    let server = TestServer::start().await;
    let alice = server.user("alice", "Alice").await;
    let poll_as_alice = || poll(&server, "leaver").bearer_auth(&alice.token);
    assert_eq!(text(poll_as_alice()).await, "o\n");
    assert!(text(poll_as_alice()).await.contains("authenticated"));
    // This one waits for a message, and its client goes.
    let waiting = poll_as_alice().timeout(Duration::from_millis(200)).send().await;
    let left = match waiting {
        Ok(answer) => answer.text().await,
        Err(error) => Err(error),
    };
    assert!(left.is_err_and(|error| error.is_timeout()));
    // What it may have lost is not passed over: the session says that it was interrupted.
    let told = loop {
        let frame = text(poll_as_alice()).await;
        if !frame.starts_with("c[2010") {
            break frame;
        }
    };
    assert_eq!(told, "c[1002,\"Connection interrupted\"]\n");
}

#[tokio::test]
async fn where_no_page_is_listed_no_browsers_word_makes_the_cookie_count() {
    // req B1, B2
    let server = start(|settings| settings.rules.origins = AllowedOrigins::default()).await;
    let alice = server.user("alice", "Alice").await;
    let own = |request: RequestBuilder| request.header("sec-fetch-site", "same-origin").header("host", "app.test");
    let events = own(with_cookie(request(&server, &Method::GET, "a", "eventsource"), &alice));
    assert_eq!(status(events).await.0, 403);
    let post = own(with_cookie(poll(&server, "b"), &alice));
    assert_eq!(status(post).await.0, 403);
    for path in ["/sockjs/000/c/websocket", "/sockjs/websocket"] {
        let upgrade = Upgrade::at(path).header("cookie", &format!("usher={}", alice.cookie));
        let mut socket = server.connect(upgrade.header("sec-fetch-site", "same-origin")).await.expect("it waits");
        socket.send_text(r#"["{\"auth\":\"alice:x\"}"]"#).await;
        let said = socket.next_text().await.expect("a frame");
        assert!(!said.contains("authenticated"), "{said}");
    }
}

#[tokio::test]
async fn a_reload_keeps_who_came_by_the_browsers_word_for_its_page() {
    // req H14
    let server = TestServer::start().await;
    let alice = server.user("alice", "Alice").await;
    let events = with_cookie(request(&server, &Method::GET, "a", "eventsource"), &alice);
    let events = events.header("sec-fetch-site", "same-origin").header("host", "app.test");
    let mut events = events.send().await.expect("an answer");
    read_until(&mut events, "authenticated").await;
    server.server().reload(&usher_testkit::settings());
    let ping = json!([json!({"type": "ping"}).to_string()]).to_string();
    let ping =
        with_cookie(request(&server, &Method::POST, "a", "xhr_send"), &alice).header("origin", ORIGIN).body(ping);
    assert_eq!(ping.send().await.expect("an answer").status(), 204);
    let said = read_until(&mut events, "pong").await;
    assert!(!said.contains("bye"), "{said}");
}

/// Reads a stream until it has said `what`; all that it said.
async fn read_until(stream: &mut Response, what: &str) -> String {
    let mut text = String::new();
    while !text.contains(what) {
        let chunk = tokio::time::timeout(Duration::from_secs(10), stream.chunk()).await.expect("in time");
        text.push_str(std::str::from_utf8(&chunk.expect("a chunk").expect("more")).expect("text"));
    }
    text
}

#[tokio::test]
async fn a_stale_cookie_binds_a_session_to_nothing() {
    let server = TestServer::start().await;
    let alice = server.user("alice", "Alice").await;
    let ours = |request: RequestBuilder| request.header("origin", ORIGIN);
    let stale = LoggedIn { cookie: format!("uss_{}", "A".repeat(43)), ..alice.clone() };
    assert_eq!(text(ours(with_cookie(poll(&server, "a"), &stale))).await, "o\n");
    // The page logs in, and its browser sends the new cookie from then on.
    let auth = json!([json!({"type": "auth", "token": alice.token}).to_string()]).to_string();
    let auth = ours(with_cookie(request(&server, &Method::POST, "a", "xhr_send"), &alice)).body(auth);
    assert_eq!(auth.send().await.expect("an answer").status(), 204);
    assert!(text(ours(with_cookie(poll(&server, "a"), &alice))).await.contains("authenticated"));
}

#[tokio::test]
async fn who_logged_out_hears_why_although_the_cookie_is_gone() {
    let server = TestServer::start().await;
    let alice = server.user("alice", "Alice").await;
    let ours = |request: RequestBuilder| request.header("origin", ORIGIN);
    assert_eq!(text(ours(with_cookie(poll(&server, "a"), &alice))).await, "o\n");
    assert!(text(ours(with_cookie(poll(&server, "a"), &alice))).await.contains("authenticated"));
    let logout = server.post_with_cookie("/auth/logout", &alice.cookie).send().await.expect("an answer");
    assert_eq!(logout.status(), 204);
    let mut all = String::new();
    while !all.contains("c[") {
        all.push_str(&text(ours(poll(&server, "a"))).await);
    }
    assert!(all.contains("bye") && all.ends_with("c[4004,\"Session ended\"]\n"), "{all}");
}

#[tokio::test]
async fn a_later_request_presents_by_the_carriers_of_the_endpoint_alone() {
    let server = start(|settings| {
        settings.rules.carriers = [Carrier::Header, Carrier::Sockjs].into_iter().collect();
    })
    .await;
    let alice = server.user("alice", "Alice").await;
    let (_, key) = server.db_api_key("alice", None).await;
    assert_eq!(text(poll(&server, "a").bearer_auth(&alice.token)).await, "o\n");
    let (refused, problem) = status(request(&server, &Method::POST, "a", &format!("xhr?token={key}"))).await;
    assert_eq!((refused, &problem["code"]), (401, &json!("carrier_disabled")));
}

#[tokio::test]
async fn a_stranger_cannot_have_a_large_message_kept_for_them() {
    // req E2, A7: the message is announced, begun, and never ends
    let server = TestServer::start().await;
    for path in ["/sockjs/000/a/websocket", "/sockjs/websocket"] {
        let address = server.url.socket_addrs(|| None).expect("an address")[0];
        let mut stream = tokio::net::TcpStream::connect(address).await.expect("it listens");
        let upgrade = format!(
            "GET {path} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        );
        stream.write_all(upgrade.as_bytes()).await.expect("written");
        // Text, masked with zeros, of 60,000 bytes, of which half is sent.
        let mut frame = vec![0x81, 0xfe, 0xea, 0x60, 0, 0, 0, 0];
        frame.resize(frame.len() + 30_000, b'x');
        stream.write_all(&frame).await.expect("written");
        let mut said = Vec::new();
        let end = stream.read_to_end(&mut said);
        tokio::time::timeout(Duration::from_secs(10), end).await.expect("closed in time").expect("read to the end");
        let code = 1009_u16.to_be_bytes();
        let closed = said.windows(4).any(|window| window[0] == 0x88 && window[2..] == code);
        assert!(closed, "{path}: {}", String::from_utf8_lossy(&said));
    }
}

#[tokio::test]
async fn frames_without_a_message_count_as_messages() {
    // req M11
    let server = TestServer::start().await;
    let alice = server.user("alice", "Alice").await;
    for path in ["/sockjs/000/a/websocket", "/sockjs/websocket"] {
        for empty in [Message::Ping(Vec::new().into()), Message::Pong(Vec::new().into()), Message::text("")] {
            let mut socket = server.connect(Upgrade::at(path).bearer(&alice.token)).await.expect("let in");
            for _ in 0..1000 {
                socket.send_message(empty.clone()).await;
            }
            let closed = loop {
                if let Err(closed) = socket.next_text().await {
                    break closed;
                }
            };
            assert_eq!(closed.code, 4029, "{path} {empty:?}");
        }
    }
}
