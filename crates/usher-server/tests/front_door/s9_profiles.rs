//! S9: the three profiles of close codes, as a client sees them.

use std::time::Duration;

use serde_json::json;
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
