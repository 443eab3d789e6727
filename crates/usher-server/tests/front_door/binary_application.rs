//! A second application, with a binary protocol of its own, behind the same routes as the rooms: what holds for a connection's life holds for
//! both.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use usher_testkit::binary_application::{
    CHANGED, CLOSE, ECHO, FLOOD, PIECE_BYTES, PIPE, SLOW, UNREACHABLE, UNWANTED, WHO,
};
use usher_testkit::{Closed, TestClient, TestServer, Upgrade};

/// The body of the answer to `[WHO]`.
async fn who(client: &mut TestClient) -> String {
    client.send_binary(vec![WHO]).await;
    let answer = client.next_binary().await.expect("an answer");
    assert_eq!(answer[0], WHO);
    String::from_utf8(answer[1..].to_vec()).expect("text")
}

/// How it ended; nothing may come before the end.
async fn end(client: &mut TestClient) -> Closed {
    client.next_binary().await.expect_err("the end")
}

fn counted(kind: u8, count: u32) -> Vec<u8> {
    [&[kind][..], &count.to_be_bytes()].concat()
}

#[tokio::test]
async fn bytes_pass_and_the_connection_says_nothing_of_its_own() {
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let mut client =
        server.enter_binary(Upgrade::at("/binary/ws").bearer(&alice.token).header("x-label", "!red")).await;
    assert_eq!(client.subprotocol, None);
    assert_eq!(who(&mut client).await, "user-alice!red", "the application has seen the request and the permit");
    for length in [1, 125, 126, 65_535] {
        let sent = vec![ECHO; length];
        client.send_binary(sent.clone()).await;
        assert!(client.next_binary().await.expect("an echo") == sent, "{length}");
    }
    // A text is the application's to refuse, also one that looks like a credential.
    client.send_text(r#"{"type":"auth","token":"a.b.c"}"#).await;
    assert_eq!(end(&mut client).await.code, 1003);
}

#[tokio::test]
async fn a_first_message_is_swallowed_and_what_follows_is_the_applications() {
    // req E4
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let mut client = server.enter_binary(Upgrade::at("/binary/ws")).await;
    client.authenticate(&alice.token).await;
    assert_eq!(who(&mut client).await, "user-alice");
    let mut client = server.enter_binary(Upgrade::at("/binary/ws")).await;
    client.send_binary(vec![WHO]).await;
    assert_eq!(end(&mut client).await.code, 1003);
}

/// The close code that a page gets, read by hand: not every client library knows 1014.
async fn close_of_a_browser(server: &TestServer, token: &str) -> u16 {
    let request = format!(
        "GET /binary/ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nOrigin: http://app.test\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    let address = server.binary_url.socket_addrs(|| None).expect("an address")[0];
    let mut stream = TcpStream::connect(address).await.expect("the server listens");
    stream.write_all(request.as_bytes()).await.expect("it is taken");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an answer and its end");
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
    assert!(answer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&answer[..end]));
    assert_eq!(answer[end], 0x88, "a close frame and nothing before it");
    u16::from_be_bytes([answer[end + 2], answer[end + 3]])
}

#[tokio::test]
async fn the_application_refuses_before_the_101() {
    let server = TestServer::start().await;
    for (user, status, code, close) in [(UNWANTED, 403, "forbidden", 4003), (UNREACHABLE, 502, "bad_gateway", 1014)] {
        let token = server.user(user, "A user").await.token;
        let refused = server.connect_binary(Upgrade::at("/binary/http").bearer(&token)).await.err().expect("refused");
        assert_eq!((refused.status, &refused.problem["code"]), (status, &json!(code)));
        // A browser can read a close code and nothing else.
        assert_eq!(close_of_a_browser(&server, &token).await, close);
    }
    // After a first message the 101 is there already.
    let token = server.log_in(UNWANTED).await.token;
    let mut client = server.enter_binary(Upgrade::at("/binary/ws")).await;
    client.authenticate(&token).await;
    assert_eq!(end(&mut client).await.code, 4003);
    assert_eq!(server.server().connections().count(), 0);
}

#[tokio::test]
async fn the_application_closes_with_a_code_and_a_reason_of_its_own() {
    // req A6
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    for (code, expected) in [(4321_u16, (4321, "over")), (1000, (1000, "over")), (1006, (1007, "Malformed message"))] {
        let mut client = server.enter_binary(Upgrade::at("/binary/ws").bearer(&alice.token)).await;
        client.send_binary([&[CLOSE][..], &code.to_be_bytes(), b"over"].concat()).await;
        let closed = end(&mut client).await;
        assert_eq!((closed.code, &*closed.reason), expected);
    }
}

/// For each profile's route: invalid, expired, no first message in time, too big, revoked.
const TABLE: [(&str, [u16; 5]); 3] = [
    ("/binary/close", [4001, 4002, 4008, 1009, 4004]),
    ("/binary/policy", [1008, 4001, 1008, 1009, 1008]),
    ("/binary/iana", [3000, 3000, 3008, 1009, 3000]),
];

#[tokio::test]
async fn each_cause_has_its_code_in_each_profile() {
    // req H10, H11, S9
    let server = TestServer::builder()
        .settings(|settings| {
            for route in &mut settings.routes {
                route.first_message.timeout = Duration::from_millis(300);
            }
        })
        .start()
        .await;
    server.db_add_user("user-alice", "Alice", &["user"]).await;
    for (path, [unauthorized, expired, timeout, too_big, revoked]) in TABLE {
        let alice = server.log_in("user-alice").await;
        let code = |upgrade: Upgrade| async { end(&mut server.enter_binary(upgrade).await).await.code };
        assert_eq!(code(Upgrade::at(path).bearer("a.b.c")).await, unauthorized, "{path}: invalid");
        let claims = server.mint.claims("user-alice");
        let exp = claims.payload["exp"].as_i64().expect("seconds");
        let old = server.mint.sign(&claims.with("iat", exp - 2000).with("exp", exp - 1000));
        assert_eq!(code(Upgrade::at(path).bearer(&old)).await, expired, "{path}: expired");
        assert_eq!(code(Upgrade::at(path)).await, timeout, "{path}: silent");

        let mut client = server.enter_binary(Upgrade::at(path).bearer(&alice.token)).await;
        client.send_binary(vec![ECHO; 65 * 1024]).await;
        assert_eq!(end(&mut client).await.code, too_big, "{path}: too big");

        let mut client = server.enter_binary(Upgrade::at(path).bearer(&alice.token)).await;
        assert_eq!(who(&mut client).await, "user-alice");
        server.post("/auth/logout").bearer_auth(&alice.token).send().await.expect("an answer");
        assert_eq!(end(&mut client).await.code, revoked, "{path}: revoked");
    }
}

/// For each profile's route: sent too much, reads too slowly, answers no ping, the server drains, text that is not UTF-8, a broken frame.
const MORE: [(&str, [u16; 6]); 3] = [
    ("/binary/close", [4029, 4010, 4011, 1012, 1007, 1002]),
    ("/binary/policy", [1008, 1008, 1001, 1012, 1007, 1002]),
    ("/binary/iana", [1013, 1013, 1001, 1012, 1007, 1002]),
];

#[tokio::test]
async fn the_causes_that_come_later() {
    // req H10, H12, H13, H14, S9
    for (path, [too_many, slow, silent, draining, not_utf8, broken]) in MORE {
        let start = async |heartbeat| {
            let server = TestServer::builder().settings(|settings| {
                settings.outbound_limit = 1 << 16;
                for route in &mut settings.routes {
                    route.heartbeat = heartbeat;
                }
            });
            server.start().await
        };
        // It reads nothing, so it answers no ping.
        let server = start(Some(Duration::from_millis(400))).await;
        let alice = server.user("user-alice", "Alice").await;
        let mut client = server.enter_binary(Upgrade::at(path).bearer(&alice.token)).await;
        while server.server().connections().count() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(end(&mut client).await.code, silent, "{path}: silent");

        let server = start(None).await;
        let alice = server.user("user-alice", "Alice").await;
        let enter = async || server.enter_binary(Upgrade::at(path).bearer(&alice.token)).await;
        let mut client = enter().await;
        client.send_frame(Frame::message(vec![0xff, 0xfe], OpCode::Data(Data::Text), true)).await;
        assert_eq!(end(&mut client).await.code, not_utf8, "{path}: not UTF-8");

        let mut client = enter().await;
        let mut reserved = Frame::message(vec![ECHO], OpCode::Data(Data::Binary), true);
        reserved.header_mut().rsv1 = true;
        client.send_frame(reserved).await;
        assert_eq!(end(&mut client).await.code, broken, "{path}: a reserved bit");

        let mut client = enter().await;
        for _ in 0..1000 {
            client.send_message(Message::Ping(Vec::new().into())).await;
        }
        assert_eq!(end(&mut client).await.code, too_many, "{path}: too many");

        // Delivered whether it reads or not.
        let mut client = enter().await;
        client.send_binary(counted(FLOOD, 2000)).await;
        let closed = loop {
            if let Err(closed) = client.next_binary().await {
                break closed;
            }
        };
        assert_eq!(closed.code, slow, "{path}: reads too slowly");

        let mut client = enter().await;
        assert_eq!(who(&mut client).await, "user-alice");
        server.server().drain(Duration::from_secs(5)).await;
        assert_eq!(end(&mut client).await.code, draining, "{path}: a drain");
    }
}

#[tokio::test]
async fn a_renewal_over_http_moves_the_end_and_the_application_is_told() {
    // req H8, H9, S10
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let mut client = server.enter_binary(Upgrade::at("/binary/ws").bearer(&alice.token)).await;
    assert_eq!(who(&mut client).await, "user-alice");
    server.clock.advance(Duration::from_mins(9));
    let answer = server.post("/auth/refresh").json(&json!({"refresh_token": alice.refresh_token})).send().await;
    assert_eq!(answer.expect("an answer").status(), 200);
    assert_eq!(client.next_binary().await.expect("it goes on"), [&[CHANGED, b'c'], &b"user"[..]].concat());
    server.db_set_roles("user-alice", &["admin", "user"]).await;
    assert_eq!(client.next_binary().await.expect("it goes on"), [&[CHANGED, b'r'], &b"admin,user"[..]].concat());
    // Past the first token's end.
    server.clock.advance(Duration::from_mins(5));
    assert_eq!(who(&mut client).await, "user-alice");
    server.clock.advance(Duration::from_mins(10));
    client.send_binary(vec![WHO]).await;
    assert_eq!(end(&mut client).await.code, 4002);
}

#[tokio::test]
async fn nothing_leaves_after_a_revocation() {
    // req H4
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let mut client = server.enter_binary(Upgrade::at("/binary/ws").bearer(&alice.token)).await;
    // More than the network takes by itself, so that something waits here.
    client.send_binary(counted(PIPE, 4000)).await;
    client.next_binary().await.expect("the first");
    server.post("/auth/logout").bearer_auth(&alice.token).send().await.expect("an answer");
    let mut after = 0;
    let closed = loop {
        match client.next_binary().await {
            Ok(_) => after += 1,
            Err(closed) => break closed,
        }
    };
    assert_eq!(closed.code, 4004);
    assert!(after < 2000, "{after} of 4000 were in the network already");
}

#[tokio::test]
async fn a_pipe_waits_for_a_client_that_reads_slowly() {
    // req M9: of what waits there is never more than the bound, and the connection goes on.
    const COUNT: u32 = 4000;
    let limit = 256 * 1024;
    let server = TestServer::builder().settings(|settings| settings.outbound_limit = limit).start().await;
    let alice = server.user("user-alice", "Alice").await;
    let mut client = server.enter_binary(Upgrade::at("/binary/ws").bearer(&alice.token)).await;
    client.send_binary(counted(PIPE, COUNT)).await;
    for number in 0..COUNT {
        let frame = client.next_binary().await.unwrap_or_else(|closed| panic!("after {number}: {closed:?}"));
        assert_eq!((frame.len(), &frame[1..5]), (PIECE_BYTES, &number.to_be_bytes()[..]));
        assert!(server.server().connections().queued_bytes() <= limit, "{number}");
    }
    assert_eq!(who(&mut client).await, "user-alice");
}

#[tokio::test]
async fn an_application_that_takes_nothing_pauses_the_client_and_loses_nothing() {
    const COUNT: u32 = 2000;
    let server = TestServer::builder().settings(|settings| settings.messages.burst = 1 << 20).start().await;
    let alice = server.user("user-alice", "Alice").await;
    let client = server.enter_binary(Upgrade::at("/binary/ws").bearer(&alice.token)).await;
    server.binary_application.hold();
    let (mut sender, mut receiver) = client.split();
    let sending = tokio::spawn(async move {
        for number in 0..COUNT {
            let mut message = vec![ECHO; PIECE_BYTES];
            message[1..5].copy_from_slice(&number.to_be_bytes());
            sender.send_binary(message).await;
        }
        sender
    });
    // More than the network holds: it comes to a stop before it is done.
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert!(!sending.is_finished(), "the client was not paused");
    server.binary_application.release();
    for number in 0..COUNT {
        let echo = receiver.next_binary().await.unwrap_or_else(|closed| panic!("after {number}: {closed:?}"));
        assert_eq!(&echo[1..5], &number.to_be_bytes()[..]);
    }
    sending.await.expect("no panic");
}

#[tokio::test]
async fn a_reload_that_takes_the_route_away_ends_it() {
    // req H14
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let mut client = server.enter_binary(Upgrade::at("/binary/ws").bearer(&alice.token)).await;
    assert_eq!(who(&mut client).await, "user-alice");
    // The binary routes are not among the configured ones.
    server.server().reload(&usher_testkit::settings()).taken_in().await;
    assert_eq!(end(&mut client).await.code, 4003);
}

#[tokio::test]
async fn a_client_that_is_paused_or_reads_slowly_is_not_taken_for_a_dead_one() {
    // req M8: its pongs cannot be read.
    const COUNT: u32 = 1500;
    let beat = Some(Duration::from_millis(300));
    let server = TestServer::builder()
        .settings(|settings| {
            for route in &mut settings.routes {
                route.heartbeat = beat;
            }
        })
        .start()
        .await;
    let alice = server.user("user-alice", "Alice").await;
    let enter = async || server.enter_binary(Upgrade::at("/binary/ws").bearer(&alice.token)).await;

    // One that reads slowly, all the while with more on its way than the network holds.
    let mut slow = enter().await;
    slow.send_binary(counted(PIPE, COUNT)).await;
    for number in 0..COUNT {
        if number % 3 == 0 {
            // It has other things to do.
            server.get("/healthz").send().await.expect("an answer");
        }
        let frame = slow.next_binary().await.unwrap_or_else(|closed| panic!("after {number}: {closed:?}"));
        assert_eq!(&frame[1..5], &number.to_be_bytes()[..]);
    }
    assert_eq!(who(&mut slow).await, "user-alice");
    slow.close().await;

    // One whose messages the application does not take.
    let mut paused = enter().await;
    assert_eq!(who(&mut paused).await, "user-alice");
    server.binary_application.hold();
    paused.send_binary(vec![WHO]).await;
    // The end of one in the rooms that reads nothing, and so answers no ping, tells that as much time has passed.
    let _silent = server.enter(Upgrade::at("/ws").bearer(&alice.token)).await;
    while server.server().connections().count() > 1 {
        tokio::task::yield_now().await;
    }
    server.binary_application.release();
    assert_eq!(paused.next_binary().await.expect("an answer"), [&[WHO], &b"user-alice"[..]].concat());
}

#[tokio::test]
async fn a_pipe_of_frames_larger_than_the_bound_goes_on() {
    // req M9: half of the bound and one frame are the most that wait.
    const COUNT: u32 = 300;
    for limit in [PIECE_BYTES / 2, PIECE_BYTES, 3 * PIECE_BYTES / 2] {
        let server = TestServer::builder().settings(|settings| settings.outbound_limit = limit).start().await;
        let alice = server.user("user-alice", "Alice").await;
        let mut client = server.enter_binary(Upgrade::at("/binary/ws").bearer(&alice.token)).await;
        client.send_binary(counted(PIPE, COUNT)).await;
        for number in 0..COUNT {
            let frame = client.next_binary().await.unwrap_or_else(|closed| panic!("after {number}: {closed:?}"));
            assert_eq!(&frame[1..5], &number.to_be_bytes()[..], "{limit}");
            let most = limit / 2 + PIECE_BYTES + 100;
            assert!(server.server().connections().queued_bytes() <= most, "{limit}");
        }
    }
}

#[tokio::test]
async fn rules_that_change_while_the_application_is_asked_are_not_missed() {
    // req H14
    let server = TestServer::start().await;
    let token = server.user(SLOW, "Slow").await.token;
    let entering = async { server.enter_binary(Upgrade::at("/binary/ws").bearer(&token)).await };
    let reloading = async {
        server.binary_application.slow_asks().await;
        server.server().reload(&usher_testkit::settings()).taken_in().await;
        server.binary_application.admit_slow();
    };
    let (mut client, ()) = tokio::join!(entering, reloading);
    // The binary routes are not among the configured ones.
    assert_eq!(end(&mut client).await.code, 4003);
}

#[tokio::test]
async fn a_drain_that_begins_while_the_application_is_asked_lets_nothing_in() {
    // req H12
    let server = TestServer::start().await;
    let token = server.user(SLOW, "Slow").await.token;
    let entering = async { server.connect_binary(Upgrade::at("/binary/ws").bearer(&token)).await };
    let draining = async {
        server.binary_application.slow_asks().await;
        server.server().drain(Duration::from_secs(5)).await;
        server.binary_application.admit_slow();
    };
    let (refused, ()) = tokio::join!(entering, draining);
    assert_eq!(refused.err().expect("refused").status, 503);
}
