//! S4: the handshake is accepted unauthenticated, and the first message carries the credential.

use std::time::Duration;

use serde_json::json;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use usher_auth::carriers::Carrier;
use usher_axum::WaitingLimits;
use usher_testkit::{Closed, TestServer, Upgrade, route};

const ROUTE: &str = "/only/first_message";

fn closed(code: u16, reason: &str) -> Closed {
    Closed { code, reason: reason.to_owned() }
}

#[tokio::test]
async fn s4_a_token_a_key_or_a_ticket_in_the_first_message() {
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let (_, key) = server.db_api_key("user-alice", None).await;
    let ticket = server.ticket(&alice.token).await;
    for credential in [alice.token, key.clone(), format!("user-alice:{key}"), ticket] {
        let mut client = server.connect(Upgrade::at(ROUTE)).await.expect("waiting");
        client.send(&json!({"type": "auth", "token": credential, "id": 7})).await;
        let authenticated = client.expect("authenticated").await;
        assert_eq!(authenticated["user"]["id"], "user-alice");
        assert_eq!((&authenticated["carrier"], &authenticated["id"]), (&json!("first_message"), &json!(7)));
    }
}

#[tokio::test]
async fn s4_a_token_that_does_not_hold_closes() {
    let server = TestServer::start().await;
    let mut client = server.connect(Upgrade::at(ROUTE)).await.expect("waiting");
    client.authenticate("not.a.token").await;
    let (frames, end) = client.closed().await;
    assert_eq!(end, closed(4001, "Unauthorized"));
    assert_eq!(frames[0], json!({"type": "error", "error": "Unauthorized", "code": "invalid_token"}));
    assert_eq!(frames[1], json!({"type": "bye", "code": 4001, "reason": "Unauthorized", "reconnect": "no"}));
    assert_eq!(frames.len(), 2);
}

#[tokio::test]
async fn s4_anything_else_first_closes() {
    // req E5
    let server = TestServer::start().await;
    for first in [
        r#"{"type":"join","room":"board-1"}"#,
        r#"{"type":"ping"}"#,
        "{",
        "",
        "null",
        r#"["auth"]"#,
        r#"{"type":"auth"}"#,
        r#"{"type":"auth","token":1}"#,
        r#"{"type":"auth","token":"x","admin":true}"#,
    ] {
        let mut client = server.connect(Upgrade::at(ROUTE)).await.expect("waiting");
        client.send_text(first).await;
        let (frames, end) = client.closed().await;
        assert_eq!(end.code, 4001, "{first}");
        assert_eq!(frames.len(), 2, "{first}: error and bye");
        assert!(frames[0]["hint"].is_string(), "{first}: says what to send instead");
    }
    let mut client = server.connect(Upgrade::at(ROUTE)).await.expect("waiting");
    client.send_binary(vec![1, 2, 3]).await;
    assert_eq!(client.closed().await.1.code, 1003);
}

#[tokio::test]
async fn s4_silence_ends_at_the_deadline() {
    // req E1
    let server = TestServer::start().await;
    let mut client = server.connect(Upgrade::at("/hurried")).await.expect("waiting");
    let (frames, end) = client.closed().await;
    assert_eq!(end, closed(4008, "Authentication timeout"));
    assert_eq!(frames[1]["reconnect"], "yes");
}

#[tokio::test]
async fn s4_traffic_does_not_extend_the_deadline() {
    // req E1, E2
    let server = TestServer::start().await;
    let mut client = server.connect(Upgrade::at("/hurried")).await.expect("waiting");
    // A message that never ends, and pings between its fragments.
    client.send_frame(Frame::message("{", OpCode::Data(Data::Text), false)).await;
    let end = loop {
        client.send_frame(Frame::message(" ", OpCode::Data(Data::Continue), false)).await;
        client.send_frame(Frame::ping("still here")).await;
        match tokio::time::timeout(Duration::from_millis(5), client.next()).await {
            Ok(Ok(_frame)) => {}
            Ok(Err(end)) => break end,
            Err(_) => {}
        }
    };
    assert_eq!(end.code, 4008);
}

#[tokio::test]
async fn s4_a_big_first_message_is_refused_on_its_header() {
    // req E2
    let server = TestServer::start().await;
    let mut client = server.connect(Upgrade::at(ROUTE)).await.expect("waiting");
    let big = format!(r#"{{"type":"auth","token":"{}"}}"#, "x".repeat(64 * 1024));
    client.send_text(&big).await;
    assert_eq!(client.closed().await.1, closed(1009, "Message too big"));
}

#[tokio::test]
async fn s4_what_follows_the_auth_message_is_delivered_in_order() {
    // req E4
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let mut client = server.connect(Upgrade::at(ROUTE)).await.expect("waiting");
    client.authenticate(&alice.token).await;
    client.send(&json!({"type": "join", "room": "board-1"})).await;
    client.send(&json!({"type": "publish", "room": "board-1", "data": 1, "id": "p"})).await;
    client.send(&json!({"type": "leave", "room": "board-1"})).await;
    for kind in ["authenticated", "joined", "published", "left"] {
        client.expect(kind).await;
    }
}

#[tokio::test]
async fn s4_waiting_sockets_have_their_own_budget() {
    // req E3
    let server = TestServer::builder()
        .settings(|settings| settings.waiting = WaitingLimits { total: 20, per_ip: 10 })
        .start()
        .await;
    let alice = server.user("user-alice", "Alice").await;
    let mut silent = Vec::new();
    for _ in 0..10 {
        silent.push(server.connect(Upgrade::at(ROUTE)).await.expect("waiting"));
    }
    let refused = server.connect(Upgrade::at(ROUTE)).await.err().expect("refused");
    assert_eq!((refused.status, &refused.problem["code"]), (429, &json!("too_many_connections")));
    assert!(refused.headers.contains_key("retry-after"));
    // An authenticated user is not in anybody's way.
    server.enter(Upgrade::at("/ws").bearer(&alice.token)).await;
    // A place comes free when somebody is let in.
    let mut first = silent.remove(0);
    first.authenticate(&alice.token).await;
    first.expect("authenticated").await;
    server.connect(Upgrade::at(ROUTE)).await.expect("waiting");
}

#[tokio::test]
async fn s4_many_silent_sockets_do_not_keep_a_user_out() {
    // req E3, S4 at the size one test process may have; the whole size needs a server of its own.
    let server = TestServer::builder().settings(|settings| settings.waiting.per_ip = 10_000).start().await;
    let alice = server.user("user-alice", "Alice").await;
    let mut silent = Vec::new();
    for _ in 0..1_000 {
        silent.push(server.connect(Upgrade::at("/ws")).await.expect("waiting"));
    }
    let mut client = server.enter(Upgrade::at("/ws").bearer(&alice.token)).await;
    assert!(client.ping().await.is_empty());
}

#[tokio::test]
async fn s4_a_refused_socket_is_freed_though_its_peer_never_answers() {
    // req E6
    let server = TestServer::builder()
        .settings(|settings| {
            settings.waiting = WaitingLimits { total: 1, per_ip: 1 };
            settings.routes.push(route("/one", &[Carrier::FirstMessage]));
        })
        .start()
        .await;
    let mut stubborn = server.connect(Upgrade::at("/one")).await.expect("waiting");
    stubborn.send_text("{}").await;
    // The only place is given back although the client neither reads nor closes.
    let freed = async {
        while server.connect(Upgrade::at("/one")).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(2), freed).await.expect("freed within 2 s");
    drop(stubborn);
}
