//! S9: the three profiles of close codes, as a client sees them.

use std::time::Duration;

use serde_json::json;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use usher_testkit::{TestServer, Upgrade};

/// For each profile's route: missing, invalid, expired, forbidden, revoked, no first message in time, too big, binary.
const TABLE: [(&str, [u16; 7]); 3] = [
    ("/close", [4001, 4002, 4003, 4004, 4008, 1009, 1003]),
    ("/policy", [1008, 4001, 4003, 1008, 1008, 1009, 1003]),
    ("/iana", [3000, 3000, 3003, 3000, 3008, 1009, 1003]),
];

#[tokio::test]
async fn s9_each_cause_has_its_code_in_each_profile() {
    // req H10, H11
    let server = TestServer::builder()
        .settings(|settings| {
            for route in &mut settings.routes {
                route.first_message.timeout = Duration::from_millis(300);
            }
        })
        .start()
        .await;
    server.db_add_user("user-alice", "Alice", &["user"]).await;
    for (path, [unauthorized, expired, forbidden, revoked, timeout, too_big, binary]) in TABLE {
        let alice = server.log_in("user-alice").await;
        let code = |upgrade: Upgrade| async { server.connect(upgrade).await.expect("accepted").closed().await.1.code };

        assert_eq!(code(Upgrade::at(path).bearer("a.b.c")).await, unauthorized, "{path}: invalid");
        let claims = server.mint.claims("user-alice");
        let exp = claims.payload["exp"].as_i64().expect("seconds");
        let old = claims.with("iat", exp - 2000).with("exp", exp - 1000);
        assert_eq!(code(Upgrade::at(path).bearer(&server.mint.sign(&old))).await, expired, "{path}: expired");
        assert_eq!(code(Upgrade::at(path)).await, timeout, "{path}: silent");

        let mut client = server.enter(Upgrade::at(path).bearer(&alice.token)).await;
        client.send(&json!({"type": "join", "room": "strict-1"})).await;
        let (frames, end) = client.closed().await;
        assert_eq!((frames[0]["error"].as_str(), end.code), (Some("Forbidden"), forbidden), "{path}: forbidden");

        let mut client = server.enter(Upgrade::at(path).bearer(&alice.token)).await;
        client.send_text(&"x".repeat(65 * 1024)).await;
        assert_eq!(client.closed().await.1.code, too_big, "{path}: too big");

        let mut client = server.enter(Upgrade::at(path).bearer(&alice.token)).await;
        client.send_binary(vec![0]).await;
        assert_eq!(client.closed().await.1.code, binary, "{path}: binary");

        let mut client = server.enter(Upgrade::at(path).bearer(&alice.token)).await;
        server.post("/auth/logout").bearer_auth(&alice.token).send().await.expect("an answer");
        let (frames, end) = client.closed().await;
        assert_eq!(end.code, revoked, "{path}: revoked");
        let bye = frames.last().expect("a bye");
        assert_eq!((bye["type"].as_str(), bye["code"].as_u64()), (Some("bye"), Some(u64::from(revoked))), "{path}");
    }
}

/// For each profile's route: sent too much, reads too slowly, answers no ping, the server drains, text that is not UTF-8, a broken
/// frame.
const MORE: [(&str, [u16; 6]); 3] = [
    ("/close", [4029, 4010, 4011, 1012, 1007, 1002]),
    ("/policy", [1008, 1008, 1001, 1012, 1007, 1002]),
    ("/iana", [1013, 1013, 1001, 1012, 1007, 1002]),
];

#[tokio::test]
async fn s9_the_causes_that_come_later() {
    // req H10, H12, H13, H14
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
        let mut client = server.enter(Upgrade::at(path).bearer(&alice.token)).await;
        while server.server().connections().count() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(client.closed().await.1.code, silent, "{path}: silent");

        let server = start(None).await;
        let alice = server.user("user-alice", "Alice").await;
        let connections = || server.server().connections().count();
        let enter = async || server.enter(Upgrade::at(path).bearer(&alice.token)).await;

        let mut client = enter().await;
        client.send_frame(Frame::message(vec![0xff, 0xfe], OpCode::Data(Data::Text), true)).await;
        assert_eq!(client.closed().await.1.code, not_utf8, "{path}: not UTF-8");

        let mut client = enter().await;
        let mut reserved = Frame::message(b"{}".to_vec(), OpCode::Data(Data::Text), true);
        reserved.header_mut().rsv1 = true;
        client.send_frame(reserved).await;
        assert_eq!(client.closed().await.1.code, broken, "{path}: a reserved bit");

        let mut client = enter().await;
        for _ in 0..1000 {
            client.send(&json!({"type": "ping"})).await;
        }
        assert_eq!(client.closed().await.1.code, too_many, "{path}: too many");

        // It is written to and reads nothing: what waits for it grows past the limit.
        let mut client = enter().await;
        client.join("board-1").await;
        let mut other = enter().await;
        other.join("board-1").await;
        let text = "x".repeat(60_000);
        let mut published = 0;
        while connections() > 1 && published < 150 {
            other.send(&json!({"type": "publish", "room": "board-1", "data": text, "id": published})).await;
            other.expect("published").await;
            published += 1;
        }
        assert_eq!(client.closed().await.1.code, slow, "{path}: slow");

        let (left, end) = tokio::join!(server.server().drain(Duration::from_secs(2)), other.closed());
        assert_eq!((left, end.1.code), (0, draining), "{path}: draining");
    }
}

#[tokio::test]
async fn a_client_that_closes_is_answered() {
    // req H12: with its own code.
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let client = server.enter(Upgrade::at("/ws").bearer(&alice.token)).await;
    assert_eq!(client.close().await.code, 1005, "it gave none");
    let mut client = server.enter(Upgrade::at("/ws").bearer(&alice.token)).await;
    let code = CloseFrame { code: 4321.into(), reason: "bye".into() };
    client.send_frame(Frame::close(Some(code))).await;
    assert_eq!(client.closed().await.1.code, 4321);
}

#[tokio::test]
async fn s9_a_missing_credential_closes_where_nothing_else_may_come() {
    let server = TestServer::builder()
        .settings(|settings| {
            for route in &mut settings.routes {
                route.carriers = [usher_auth::carriers::Carrier::Header].into_iter().collect();
            }
        })
        .start()
        .await;
    for (path, codes) in TABLE {
        let mut client = server.connect(Upgrade::at(path)).await.expect("accepted");
        assert_eq!(client.closed().await.1.code, codes[0], "{path}");
    }
}

#[tokio::test]
async fn s9_each_mode_of_refusal() {
    // req H11
    let server = TestServer::start().await;
    let bad = |path: &str| Upgrade::at(path).bearer("a.b.c");
    assert_eq!(server.connect(bad("/http")).await.err().expect("refused").status, 401);
    assert_eq!(server.connect(bad("/http").browser()).await.err().expect("refused").status, 401);
    assert_eq!(server.connect(bad("/ws")).await.err().expect("refused").status, 401);
    assert_eq!(server.connect(bad("/ws").browser()).await.expect("accepted").closed().await.1.code, 4001);
    assert_eq!(server.connect(bad("/close")).await.expect("accepted").closed().await.1.code, 4001);
    assert_eq!(server.connect(bad("/close").browser()).await.expect("accepted").closed().await.1.code, 4001);
}
