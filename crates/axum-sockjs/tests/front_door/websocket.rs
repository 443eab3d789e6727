//! WebSockets, with SockJS frames and without.

use std::time::Duration;

use axum_sockjs::{Close, Config, Ended, Transport};
use futures_util::SinkExt;
use tungstenite::Message;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::client::within;
use super::world::{World, message};

#[tokio::test]
async fn a_session_over_a_websocket() {
    let mut world = World::new().await;
    let mut socket = world.client.websocket("/s/0/a/websocket").await;
    assert_eq!(socket.text().await, "o");
    let (mut session, facts) = world.session().await;
    assert_eq!(facts.transport, Transport::Websocket);
    socket.send("").await;
    socket.send("[]").await;
    socket.send(r#"["a","b"]"#).await;
    socket.send(r#""c""#).await;
    for expected in ["a", "b", "c"] {
        assert_eq!(message(&mut session).await, expected, "an array of strings or one string; nothing is nothing");
    }
    session.send("d\u{2028}").unwrap();
    assert_eq!(socket.text().await, r#"a["d\u2028"]"#);
    session.close(Close::GO_AWAY);
    assert_eq!(socket.text().await, r#"c[3000,"Go away!"]"#);
    assert_eq!(socket.closed().await, (3000, "Go away!".to_owned()));
}

#[tokio::test]
async fn two_websockets_may_use_one_session_id() {
    let mut world = World::new().await;
    let mut first = world.client.websocket("/s/0/a/websocket").await;
    assert_eq!(first.text().await, "o");
    let (one, _) = world.session().await;
    let mut second = world.client.websocket("/s/0/a/websocket").await;
    assert_eq!(second.text().await, "o");
    let (two, _) = world.session().await;
    one.send("1").unwrap();
    two.send("2").unwrap();
    assert_eq!(first.text().await, "a[\"1\"]");
    assert_eq!(second.text().await, "a[\"2\"]");
    assert_eq!(world.client.poll("/0/a").await, "o\n", "a poll of that id is a third session");
}

#[tokio::test]
async fn the_application_learns_that_the_client_left() {
    let mut world = World::new().await;
    let mut socket = world.client.websocket("/s/0/a/websocket").await;
    let (mut session, _) = world.session().await;
    socket.send("[\"last words\"]").await;
    within(socket.0.close(None)).await.unwrap();
    assert_eq!(within(session.wait_ended()).await, Ended::Client(None));
    assert_eq!(message(&mut session).await, "last words");
    assert_eq!(session.receive().await, None);

    let socket = world.client.websocket("/s/0/a/websocket").await;
    let (session, _) = world.session().await;
    drop(socket);
    assert_eq!(within(session.wait_ended()).await, Ended::Interrupted);
}

#[tokio::test]
async fn what_is_no_message_closes_the_socket_with_a_reason() {
    let mut world = World::new().await;
    for text in ["[\"a", r#"{"auth":"user:key"}"#, "[1]"] {
        let mut socket = world.client.websocket("/s/0/a/websocket").await;
        assert_eq!(socket.text().await, "o");
        socket.send(text).await;
        let (code, reason) = socket.closed().await;
        assert_eq!(code, 1007, "{text}");
        assert!(reason.contains("array of strings"), "{reason}");
        let (session, _) = world.session().await;
        assert_eq!(within(session.wait_ended()).await, Ended::Malformed(Close::MALFORMED));
    }
}

#[tokio::test]
async fn what_came_before_a_violation_is_answered() {
    let mut world = World::new().await;
    let mut socket = world.client.websocket("/s/0/a/websocket").await;
    assert_eq!(socket.text().await, "o");
    let (mut session, _) = world.session().await;
    // Two in one write: a message, and a frame with a reserved bit.
    let both = b"\x81\x85\0\0\0\0[\"a\"]\xf1\x80\0\0\0\0";
    within(socket.0.get_mut().write_all(both)).await.unwrap();
    assert_eq!(message(&mut session).await, "a");
    let ending = async {
        session.send("answer").unwrap();
        session.receive().await
    };
    let (end, answer) = tokio::join!(within(ending), socket.text());
    assert_eq!((end, answer.as_str()), (None, "a[\"answer\"]"));
    assert_eq!(socket.closed().await.0, 1002);
    assert_eq!(session.ended(), Some(Ended::Malformed(Close::PROTOCOL_ERROR)));
}

#[tokio::test]
async fn frames_that_a_later_one_continues_are_counted() {
    let mut world = World::new().await;
    for path in ["/s/0/a/websocket", "/s/websocket"] {
        let mut socket = world.client.websocket(path).await;
        let (mut session, _) = world.session().await;
        let mut frames = b"\x01\x80\0\0\0\0".to_vec();
        frames.extend(b"\x00\x80\0\0\0\0".repeat(999));
        within(socket.0.get_mut().write_all(&frames)).await.unwrap();
        let mut count = 0;
        within(std::future::poll_fn(|context| {
            let _ = session.poll_receive(context);
            count += session.take_empty_frames();
            if count < 1000 { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
        }))
        .await;
        assert_eq!(count, 1000, "{path}");
    }
}

#[tokio::test]
async fn binary_and_too_big_close_the_socket() {
    let mut config = Config::default();
    config.limits.request_bytes = 1000;
    config.limits.message_bytes = 100;
    let world = World::with(config).await;
    let over = format!("[\"{}\"]", "x".repeat(101));
    let far_over = format!("[\"{}\"]", "x".repeat(300_000));
    for (message, code) in
        [(Message::binary(vec![1]), 1003), (Message::text(over), 1009), (Message::text(far_over), 1009)]
    {
        let mut socket = world.client.websocket("/s/0/a/websocket").await;
        assert_eq!(socket.text().await, "o");
        // Whether all of it could be written is not the point.
        let _ = within(socket.0.send(message)).await;
        assert_eq!(socket.closed().await.0, code);
    }
}

#[tokio::test]
async fn a_frame_without_a_mask_closes_the_socket() {
    let world = World::new().await;
    let mut socket = world.client.websocket("/s/0/a/websocket").await;
    assert_eq!(socket.text().await, "o");
    within(socket.0.get_mut().write_all(b"\x81\x02[]")).await.unwrap();
    assert_eq!(socket.closed().await.0, 1002);
}

#[tokio::test]
async fn what_is_no_upgrade_is_refused() {
    let world = World::new().await;
    for path in ["/s/0/0/websocket", "/s/websocket"] {
        assert_eq!(world.client.get(path).await.status, 400);
        let client = world.client.with("Upgrade", "WebSocket").with("Connection", "close");
        assert_eq!(client.get(path).await.status, 400);
        let client = world.client.with("Upgrade", "WebSocket").with("Connection", "Upgrade");
        assert_eq!(client.get(path).await.status, 400, "hixie-76 names no version");
        let answer = client.with("Sec-WebSocket-Version", "8").get(path).await;
        assert_eq!((answer.status, answer.header("sec-websocket-version")), (426, Some("13")));
        assert_eq!(client.post(path, "").await.status, 405);
        let client = client.with("Sec-WebSocket-Version", "13");
        assert_eq!(client.get(path).await.status, 400, "no key");
        let key = "dGhlIHNhbXBsZSBub25jZQ==";
        for bad in ["short", "!!!!!!!!!!!!!!!!!!!!!!==", "dGhlIHNhbXBsZSBub25jZR=="] {
            assert_eq!(client.with("Sec-WebSocket-Key", bad).get(path).await.status, 400, "{bad}");
        }
        let client = client.with("Sec-WebSocket-Key", key);
        assert_eq!(client.with("Sec-WebSocket-Key", key).get(path).await.status, 400, "two keys");
        assert_eq!(client.with("Sec-WebSocket-Version", "13").get(path).await.status, 426, "two versions");
        assert_eq!(client.with("Host", "other").get(path).await.status, 400, "two hosts");
        assert_eq!(client.send("GET", path, "hello").await.status, 400, "a body");
        assert_eq!(client.get(path).await.status, 101);
    }
}

#[tokio::test]
async fn a_quiet_websocket_hears_heartbeats() {
    let world = World::with(Config { heartbeat: Duration::from_millis(50), ..Config::default() }).await;
    let mut socket = world.client.websocket("/s/0/a/websocket").await;
    assert_eq!(socket.text().await, "o");
    assert_eq!(socket.text().await, "h");
    assert_eq!(socket.text().await, "h");
    let mut raw = world.client.websocket("/s/websocket").await;
    assert!(raw.is_pinged().await, "without frames it is a ping");
}

#[tokio::test]
async fn the_raw_websocket_goes_to_the_same_application_without_frames() {
    let mut world = World::new().await;
    let mut socket = world.client.websocket("/s/websocket").await;
    let (mut session, facts) = world.session().await;
    assert_eq!(facts.transport, Transport::RawWebsocket);
    socket.send("Hello world!\u{ffff}").await;
    assert_eq!(message(&mut session).await, "Hello world!\u{ffff}");
    session.send("as it is \u{2028}").unwrap();
    session.send("and apart").unwrap();
    session.send_json(&serde_json::json!({"connected": true})).unwrap();
    assert_eq!(socket.text().await, "as it is \u{2028}");
    assert_eq!(socket.text().await, "and apart");
    assert_eq!(socket.text().await, r#"{"connected":true}"#);
    session.close(Close::GO_AWAY);
    assert_eq!(socket.closed().await, (3000, "Go away!".to_owned()));
}

/// A ping with nothing in it, as a client sends it.
const PING: &[u8] = b"\x89\x80\0\0\0\0";

#[tokio::test]
async fn a_peer_that_takes_no_pongs_is_read_no_further() {
    let mut world = World::new().await;
    for path in ["/s/0/a/websocket", "/s/websocket"] {
        let mut socket = world.client.websocket(path).await;
        let (_session, _) = world.session().await;
        let ping = [b"\x89\xfd\0\0\0\0".as_slice(), &[b'x'; 125]].concat();
        let pings = ping.repeat(1000);
        let mut sent = 0;
        // What the system keeps in both directions is some megabytes.
        while let Ok(written) = timeout(Duration::from_secs(2), socket.0.get_mut().write_all(&pings)).await {
            written.unwrap();
            sent += pings.len();
            assert!(sent < 64 * 1024 * 1024, "{path}: pongs are queued without a bound");
        }
    }
}

#[tokio::test]
async fn frames_without_a_message_are_read_ahead_of_the_application_within_a_bound() {
    let mut config = Config::default();
    config.limits.empty_frames = 100;
    let mut world = World::with(config).await;
    for path in ["/s/0/a/websocket", "/s/websocket"] {
        let mut socket = world.client.websocket(path).await;
        let (mut session, _) = world.session().await;
        if path.contains("/0/") {
            assert_eq!(socket.text().await, "o");
        }
        within(socket.0.get_mut().write_all(&PING.repeat(5000))).await.unwrap();
        let mut count = 0;
        while count < 5000 {
            // It is read on until nothing more comes.
            let mut pongs = [0; 16 * 1024];
            while timeout(Duration::from_millis(50), socket.0.get_mut().read(&mut pongs)).await.is_ok() {}
            let came = session.take_empty_frames();
            // The bound, and one read buffer of pings. None if the server has not read on yet.
            assert!(came <= 100 + 4096 / PING.len(), "{path}: {came} after {count}");
            count += came;
        }
        // Once the session has ended, reading does not wait for the application.
        within(socket.0.get_mut().write_all(&PING.repeat(1000))).await.unwrap();
        session.close(Close::GO_AWAY);
        drop(session);
        if path.contains("/0/") {
            assert_eq!(socket.text().await, "c[3000,\"Go away!\"]");
        }
        assert_eq!(socket.closed().await.0, 3000);
    }
}
