//! S7: rooms with join, typing and presence.

use serde_json::{Value, json};
use usher_testkit::{TestClient, TestServer, Upgrade};

async fn two(server: &TestServer) -> (TestClient, TestClient) {
    let alice = server.user("user-alice", "Alice").await;
    let bob = server.user("user-bob", "Bob").await;
    (
        server.enter(Upgrade::at("/ws").cookie(&alice.cookie)).await,
        server.enter(Upgrade::at("/ws").bearer(&bob.token)).await,
    )
}

#[tokio::test]
async fn s7_two_people_meet_in_a_room() {
    let server = TestServer::start().await;
    let (mut alice, mut bob) = two(&server).await;
    assert_eq!(alice.join("board-1").await["viewers"], 1);
    let joined = bob.join("board-1").await;
    assert_eq!(joined["viewers"], 2);
    let members = joined["members"].as_array().expect("a list");
    assert!(members.contains(&json!({"id": "user-alice", "name": "Alice"})), "{members:?}");
    let bob_joined = alice.expect("user_joined").await;
    assert_eq!(
        bob_joined,
        json!({"type": "user_joined", "room": "board-1", "user": {"id": "user-bob", "name": "Bob"}, "viewers": 2})
    );

    alice.send(&json!({"type": "typing", "boardId": "board-1"})).await;
    let typing = bob.expect("user_typing").await;
    assert_eq!(
        typing,
        json!({"type": "user_typing", "room": "board-1", "user": {"id": "user-alice", "name": "Alice"}})
    );
    assert!(alice.ping().await.is_empty(), "not to oneself");

    alice.send(&json!({"type": "publish", "room": "board-1", "data": {"text": "hé\u{2028}"}, "id": "m1"})).await;
    assert_eq!(alice.expect("published").await["id"], "m1");
    let message = bob.expect("message").await;
    assert_eq!((&message["data"], &message["user"]["id"]), (&json!({"text": "hé\u{2028}"}), &json!("user-alice")));
    assert!(alice.ping().await.is_empty());
}

#[tokio::test]
async fn s7_whatever_ends_a_connection_leaves_its_rooms() {
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let bob = server.user("user-bob", "Bob").await;
    let mut watcher = server.enter(Upgrade::at("/ws").bearer(&alice.token)).await;
    watcher.join("board-1").await;
    for how in ["close", "vanish", "violation", "revoked"] {
        let bob_now = server.log_in("user-bob").await;
        let mut tab = server.enter(Upgrade::at("/ws").bearer(&bob_now.token)).await;
        tab.join("board-1").await;
        watcher.expect("user_joined").await;
        match how {
            "close" => drop(tab.close().await),
            "vanish" => tab.vanish(),
            "violation" => {
                tab.send_binary(vec![1]).await;
                tab.closed().await;
            }
            _ => {
                server.post("/auth/logout").bearer_auth(&bob_now.token).send().await.expect("an answer");
                tab.closed().await;
            }
        }
        let left = watcher.expect("user_left").await;
        assert_eq!((&left["user"]["id"], &left["viewers"]), (&json!("user-bob"), &json!(1)), "{how}");
    }
    drop(bob);
}

#[tokio::test]
async fn s7_viewers_are_users_and_not_tabs() {
    let server = TestServer::start().await;
    let (mut alice, mut bob) = two(&server).await;
    let alices = server.log_in("user-alice").await;
    let mut second = server.enter(Upgrade::at("/ws").bearer(&alices.token)).await;
    alice.join("board-1").await;
    bob.join("board-1").await;
    alice.expect("user_joined").await;
    assert_eq!(second.join("board-1").await["viewers"], 2);
    assert!(alice.ping().await.is_empty() && bob.ping().await.is_empty(), "a second tab announces nothing");
    second.close().await;
    assert!(bob.ping().await.is_empty(), "nor does its closing");
}

#[tokio::test]
async fn s7_broken_frames_are_answered_and_the_socket_lives_on() {
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let mut client = server.enter(Upgrade::at("/ws").bearer(&alice.token)).await;
    client.send_text("{broken").await;
    assert_eq!(client.expect("error").await, json!({"type": "error", "error": "Invalid JSON", "code": "invalid_json"}));
    for (frame, code) in [
        (json!([]), "invalid_message"),
        (json!({"type": "fly", "id": 1}), "unknown_type"),
        (json!({"type": 1}), "invalid_field"),
        (json!({"room": "board-1"}), "invalid_field"),
        (json!({"type": "join"}), "invalid_field"),
        (json!({"type": "join", "room": ["board-1"]}), "invalid_field"),
        (json!({"type": "join", "room": "a", "boardId": "a"}), "invalid_field"),
        (json!({"type": "join", "room": ""}), "invalid_room"),
        (json!({"type": "join", "room": "board-\u{0}"}), "invalid_room"),
        (json!({"type": "publish", "room": "board-1"}), "invalid_field"),
        (json!({"type": "publish", "room": "board-1", "data": 1}), "not_joined"),
        (json!({"type": "typing", "room": "board-1"}), "not_joined"),
        (json!({"type": "leave", "room": "board-1"}), "not_joined"),
        (json!({"type": "ping", "id": {}}), "invalid_field"),
        (json!({"type": "auth", "token": "x", "more": 1}), "invalid_field"),
    ] {
        client.send(&frame).await;
        let error = client.expect("error").await;
        assert_eq!(error["code"], code, "{frame}");
        assert!(error["error"].is_string());
    }
    let deep = format!(r#"{{"type":"publish","room":"board-1","data":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    client.send_text(&deep).await;
    assert_eq!(client.expect("error").await["code"], "too_deep");
    assert!(client.ping().await.is_empty());
}

#[tokio::test]
async fn s7_rooms_without_the_right() {
    // req I1, I2
    let server = TestServer::start().await;
    let (mut alice, mut bob) = two(&server).await;
    alice.join("private-1").await;
    for forbidden in [
        "private-1",
        "PRIVATE-1",
        "nowhere",
        "board-",
        "xboard-1",
        "board-1/../private-1",
        "board-*/x",
        "strict",
        "private-1.",
        "private%2D1",
        "pr\u{456}vate-1",
        "*",
    ] {
        bob.send(&json!({"type": "join", "room": forbidden, "id": "j"})).await;
        let error = bob.expect("error").await;
        assert_eq!(
            (&error["error"], &error["code"], &error["id"]),
            (&json!("Forbidden"), &json!("forbidden"), &json!("j")),
            "{forbidden}"
        );
    }
    // Join and publish are rights apart.
    bob.join("news-1").await;
    bob.send(&json!({"type": "publish", "room": "news-1", "data": 1})).await;
    assert_eq!(bob.expect("error").await["code"], "forbidden");
    bob.send(&json!({"type": "typing", "room": "news-1"})).await;
    assert_eq!(bob.expect("error").await["code"], "forbidden");
    assert!(alice.ping().await.is_empty(), "nothing of it reached the room");
}

#[tokio::test]
async fn s7_a_refusal_may_end_the_connection() {
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let mut client = server.enter(Upgrade::at("/ws").bearer(&alice.token)).await;
    client.send(&json!({"type": "join", "room": "strict-1"})).await;
    let (frames, closed) = client.closed().await;
    let kinds: Vec<&Value> = frames.iter().map(|frame| &frame["type"]).collect();
    assert_eq!(kinds, [&json!("error"), &json!("bye")]);
    assert_eq!((closed.code, closed.reason.as_str()), (4003, "Forbidden"));
}

#[tokio::test]
async fn s7_a_new_credential_in_band() {
    // req H7
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let bob = server.user("user-bob", "Bob").await;
    let mut client = server.connect(Upgrade::at("/ws").bearer(&alice.token)).await.expect("let in");
    let first = client.expect("authenticated").await["expires_at"].as_i64().expect("seconds");
    client.join("board-1").await;
    server.clock.advance(std::time::Duration::from_mins(1));
    let later = server.log_in("user-alice").await;
    client.authenticate(&later.token).await;
    let renewed = client.expect("authenticated").await;
    assert!(renewed["expires_at"].as_i64().expect("seconds") >= first + 59, "{renewed}");
    assert_eq!(renewed["rooms_lost"], Value::Null);
    client.authenticate("a.b.c").await;
    assert_eq!(client.expect("error").await["code"], "invalid_token");
    assert!(client.ping().await.is_empty(), "a bad one extends nothing and ends nothing");
    // Fewer rights: the room is left at once.
    let less = server.mint.sign(&server.mint.claims("user-alice").with("roles", json!([])));
    client.authenticate(&less).await;
    assert_eq!(client.expect("authenticated").await["rooms_lost"], json!(["board-1"]));
    client.authenticate(&bob.token).await;
    assert_eq!(client.closed().await.1.code, 4003);
}

#[tokio::test]
async fn a_reader_that_does_not_read_is_closed_and_costs_a_bounded_amount() {
    let server = TestServer::builder().settings(|settings| settings.outbound_limit = 64 * 1024).start().await;
    let (mut alice, bob) = two(&server).await;
    let mut bob = bob;
    bob.join("board-1").await;
    alice.join("board-1").await;
    let big = "x".repeat(32 * 1024);
    // Bob does not read. What fits into the network's buffers goes there, then his outbox fills up, then he is out.
    let mut number = 0;
    let left = loop {
        number += 1;
        assert!(number < 10_000, "nobody was closed");
        alice.send(&json!({"type": "publish", "room": "board-1", "data": big})).await;
        if let Some(left) = alice.ping().await.into_iter().find(|frame| frame["type"] == "user_left") {
            break left;
        }
    };
    assert_eq!(left["user"]["id"], "user-bob");
}
