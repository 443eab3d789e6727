//! Rights that shrink while somebody is in: rooms are left at once, the client is told, the others see it.

use serde_json::json;
use usher_testkit::{TestClient, TestServer, Upgrade};

#[tokio::test]
async fn a_role_that_is_taken_away_takes_its_rooms_with_it() {
    // req H3
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let (_, key) = server.db_api_key("user-alice", None).await;
    let bob = server.user("user-bob", "Bob").await;
    let mut bob = server.enter(Upgrade::at("/ws").bearer(&bob.token)).await;
    bob.join("board-1").await;
    let mut alices: Vec<TestClient> = Vec::new();
    for upgrade in [
        Upgrade::at("/ws").bearer(&alice.token),
        Upgrade::at("/ws").cookie(&alice.cookie),
        Upgrade::at("/ws").header("x-api-key", &key),
    ] {
        let mut socket = server.enter(upgrade).await;
        socket.join("board-1").await;
        alices.push(socket);
    }
    bob.expect("user_joined").await;
    server.db_set_roles("user-alice", &[]).await;
    for socket in &mut alices {
        assert_eq!(
            socket.expect("rooms_lost").await,
            json!({"type": "rooms_lost", "rooms": ["board-1"], "reason": "rights withdrawn"})
        );
        socket.send(&json!({"type": "join", "room": "board-1"})).await;
        assert_eq!(socket.expect("error").await["code"], "forbidden");
    }
    assert_eq!(bob.expect("user_left").await["user"]["id"], "user-alice");
    // What says that she still has the role ends; what is looked up does not.
    let refused = server.connect(Upgrade::at("/http").bearer(&alice.token)).await.err().expect("refused");
    assert_eq!((refused.status, &refused.problem["code"]), (401, &json!("session_expired")));
    for upgrade in [Upgrade::at("/ws").cookie(&alice.cookie), Upgrade::at("/ws").header("x-api-key", &key)] {
        let mut socket = server.enter(upgrade).await;
        socket.send(&json!({"type": "join", "room": "board-1"})).await;
        assert_eq!(socket.expect("error").await["code"], "forbidden");
    }
    // Given back, it counts at once.
    server.db_set_roles("user-alice", &["user"]).await;
    for socket in &mut alices {
        assert!(socket.ping().await.is_empty(), "nothing was lost");
        socket.join("board-1").await;
    }
    assert!(bob.ping().await.iter().any(|frame| frame["type"] == "user_joined"));
}

#[tokio::test]
async fn a_disabled_user_counts_one_connection_once() {
    // What an operator is told is what happened.
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let mut socket = server.enter(Upgrade::at("/ws").bearer(&alice.token)).await;
    let target = usher_auth::revocation::RevocationTarget::User {
        user: "user-alice".parse().expect("an id"),
        issued_before: usher_auth::UnixTime::MAX,
        except: None,
    };
    let ended = server.db_revoke(target, usher_auth::revocation::RevocationCause::UserDisabled).await;
    assert_eq!(ended, 1);
    assert_eq!(socket.closed().await.1.code, 4004);
}

#[tokio::test]
async fn all_my_sessions_but_this_one() {
    // req J6, H3
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let other = server.log_in("user-alice").await;
    let mut staying = server.enter(Upgrade::at("/ws").bearer(&alice.token)).await;
    let mut ending = server.enter(Upgrade::at("/ws").cookie(&other.cookie)).await;
    let end = |who: &str| server.http.delete(server.at("/auth/sessions")).bearer_auth(who).send();
    assert_eq!(end(&alice.token).await.expect("an answer").status(), 204);
    assert_eq!(ending.closed().await.1.code, 4004);
    assert!(staying.ping().await.is_empty());
    assert_eq!(end(&other.token).await.expect("an answer").status(), 401);
    let (_, key) = server.db_api_key("user-alice", None).await;
    let by_key = server.http.delete(server.at("/auth/sessions")).header("x-api-key", key).send().await;
    assert_eq!(by_key.expect("an answer").status(), 409, "a key has no session to keep");
}
