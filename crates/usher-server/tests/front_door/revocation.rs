//! What ends a session ends its sockets, with a code that says so (req H3–H5, J5, J6, L1, L5).

use std::time::Duration;

use serde_json::{Value, json};
use usher_auth::revocation::{RevocationCause, RevocationTarget};
use usher_auth::throttle::AttemptRate;
use usher_store::memory::MemoryStore;
use usher_testkit::{Closed, LoggedIn, TestClient, TestServer, Upgrade};

fn ended() -> Closed {
    Closed { code: 4004, reason: "Session ended".to_owned() }
}

/// One socket of the session by each way that leads to it.
async fn sockets(server: &TestServer, who: &LoggedIn) -> Vec<TestClient> {
    let ticket = server.ticket(&who.token).await;
    vec![
        server.enter(Upgrade::at("/ws").bearer(&who.token)).await,
        server.enter(Upgrade::at("/ws").cookie(&who.cookie)).await,
        server.enter(Upgrade::at(format!("/ws?ticket={ticket}"))).await,
        server.enter(Upgrade::at(format!("/ws?token={}", who.token))).await,
    ]
}

#[tokio::test]
async fn a_log_out_ends_the_sessions_sockets_and_no_others() {
    // req H3, J5
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let other = server.log_in("user-alice").await;
    let bob = server.user("user-bob", "Bob").await;
    let ending = sockets(&server, &alice).await;
    let mut staying = sockets(&server, &other).await;
    staying.extend(sockets(&server, &bob).await);
    let logout = server.post_with_cookie("/auth/logout", &alice.cookie).send().await.expect("an answer");
    assert_eq!(logout.status(), 204);
    assert!(logout.headers()["set-cookie"].to_str().expect("text").contains("Max-Age=0"));
    for mut socket in ending {
        let (frames, closed) = socket.closed().await;
        assert_eq!(closed, ended());
        assert_eq!(frames, [json!({"type": "bye", "code": 4004, "reason": "Session ended", "reconnect": "no"})]);
    }
    for socket in &mut staying {
        assert!(socket.ping().await.is_empty());
    }
    for (what, answer) in [
        ("token", server.get("/auth/session").bearer_auth(&alice.token)),
        ("cookie", server.get("/auth/session").header("cookie", format!("usher={}", alice.cookie))),
    ] {
        assert_eq!(answer.send().await.expect("an answer").status(), 401, "{what}");
    }
    // req L5
    let refresh = server
        .post("/auth/refresh")
        .json(&json!({"refresh_token": alice.refresh_token}))
        .send()
        .await
        .expect("an answer");
    assert_eq!(refresh.status(), 400);
}

#[tokio::test]
async fn everywhere_is_everywhere() {
    // req J6
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let other = server.log_in("user-alice").await;
    let mut ending = sockets(&server, &alice).await;
    ending.extend(sockets(&server, &other).await);
    let logout = server.post("/auth/logout?everywhere=true").bearer_auth(&other.token).send().await.expect("an answer");
    assert_eq!(logout.status(), 204);
    for mut socket in ending {
        assert_eq!(socket.closed().await.1, ended());
    }
    // A log-in right after it holds, in the same second too.
    let again = server.log_in("user-alice").await;
    for mut socket in sockets(&server, &again).await {
        assert!(socket.ping().await.is_empty());
    }
}

#[tokio::test]
async fn my_sessions_and_the_end_of_one() {
    // req J6
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let other = server.log_in("user-alice").await;
    let bob = server.user("user-bob", "Bob").await;
    let list = |who: &LoggedIn| {
        let request = server.get("/auth/sessions").bearer_auth(&who.token);
        async move { request.send().await.expect("an answer").json::<Vec<Value>>().await.expect("a list") }
    };
    let mine = list(&alice).await;
    assert_eq!(mine.len(), 2);
    let (current, elsewhere): (Vec<_>, Vec<_>) = mine.iter().partition(|session| session["current"] == true);
    assert_eq!((current.len(), elsewhere.len()), (1, 1));
    let bobs = list(&bob).await[0]["id"].as_str().expect("an id").to_owned();
    let delete = |id: &str| server.http.delete(server.at(&format!("/auth/sessions/{id}"))).bearer_auth(&alice.token);
    for not_mine in [bobs.as_str(), "ses_x", "%00", "a%20b"] {
        assert_eq!(delete(not_mine).send().await.expect("an answer").status(), 404, "{not_mine}");
    }
    let mut ending = server.enter(Upgrade::at("/ws").bearer(&other.token)).await;
    let mut staying = server.enter(Upgrade::at("/ws").bearer(&alice.token)).await;
    let id = elsewhere[0]["id"].as_str().expect("an id");
    assert_eq!(delete(id).send().await.expect("an answer").status(), 204);
    assert_eq!(ending.closed().await.1, ended());
    assert!(staying.ping().await.is_empty());
}

#[tokio::test]
async fn a_disabled_a_removed_user_and_a_revoked_key() {
    // req H3
    let server = TestServer::start().await;
    for trigger in ["disable", "delete", "key", "administrator"] {
        let id = format!("user-{trigger}");
        let user = server.user(&id, "Somebody").await;
        let (key_id, key) = server.db_api_key(&id, None).await;
        let mut by_key = server.enter(Upgrade::at("/ws").header("x-api-key", &key)).await;
        let mut by_token = server.enter(Upgrade::at("/ws").bearer(&user.token)).await;
        match trigger {
            "disable" => server.db_disable(&id).await,
            "delete" => server.db_delete(&id).await,
            "key" => {
                server.db_revoke(RevocationTarget::ApiKey(key_id), RevocationCause::KeyRevoked).await;
            }
            _ => {
                let target = RevocationTarget::User {
                    user: id.parse().expect("an id"),
                    issued_before: usher_auth::UnixTime::MAX,
                    except: None,
                };
                server.db_revoke(target, RevocationCause::Administrator).await;
            }
        }
        if trigger == "administrator" {
            // Ending every session of a user is not ending the keys: those have a list and a revocation of their own.
            assert!(by_key.ping().await.is_empty());
            assert_eq!(by_token.closed().await.1, ended(), "{trigger}");
            server.enter(Upgrade::at("/http").header("x-api-key", &key)).await;
            continue;
        }
        assert_eq!(by_key.closed().await.1, ended(), "{trigger}");
        if trigger == "key" {
            assert!(by_token.ping().await.is_empty(), "only what the key opened");
        } else {
            assert_eq!(by_token.closed().await.1, ended(), "{trigger}");
        }
        let answer = server.connect(Upgrade::at("/http").header("x-api-key", &key)).await.err().expect("refused");
        assert_eq!(answer.status, 401, "{trigger}");
    }
}

#[tokio::test]
async fn a_spent_refresh_token_ends_the_session_and_its_sockets() {
    // req L1, H8
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let refresh = |token: String| {
        let request = server.post("/auth/refresh").json(&json!({"refresh_token": token}));
        async move {
            let answer = request.send().await.expect("an answer");
            (answer.status().as_u16(), answer.json::<Value>().await.expect("JSON"))
        }
    };
    let text = |body: &Value| body["refresh_token"].as_str().expect("a token").to_owned();
    let mut socket = server.enter(Upgrade::at("/ws").bearer(&alice.token)).await;
    // Rotation drops nothing.
    let (status, first) = refresh(alice.refresh_token.clone()).await;
    assert_eq!(status, 200);
    // A lost answer may be asked for again, and is the same.
    let (_, retried) = refresh(alice.refresh_token.clone()).await;
    assert_eq!(text(&first), text(&retried));
    let (_, second) = refresh(text(&first)).await;
    assert_ne!(text(&first), text(&second));
    assert!(socket.ping().await.iter().all(|frame| frame["type"] == "authenticated"), "renewed, and not dropped");
    // Once the successor was used, the first one coming back means that two parties hold it.
    let (status, problem) = refresh(alice.refresh_token.clone()).await;
    assert_eq!((status, &problem["code"]), (400, &json!("invalid_grant")));
    assert_eq!(socket.closed().await.1, ended());
    assert_eq!(refresh(text(&second)).await.0, 400, "the new one is dead too");
}

#[tokio::test]
async fn a_lost_answer_is_not_repeated_for_ever() {
    // req L2
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let refresh = || server.post("/auth/refresh").json(&json!({"refresh_token": alice.refresh_token})).send();
    assert_eq!(refresh().await.expect("an answer").status(), 200);
    server.clock.advance(std::time::Duration::from_secs(11));
    assert_eq!(refresh().await.expect("an answer").status(), 400);
    assert_eq!(server.get("/auth/session").bearer_auth(&alice.token).send().await.expect("an answer").status(), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn racing_refreshes_make_one_chain() {
    // req L2
    for (store, pairs) in [(None, 50), (Some(MemoryStore::default()), 1_000)] {
        // Thousands of refreshes of one account, on a clock that stands still.
        let unpaced = AttemptRate { attempts: 1_000_000, per: Duration::from_mins(1) };
        let mut server = TestServer::builder().settings(|settings| settings.logins.per_account = unpaced);
        if let Some(store) = store {
            server = server.store(std::sync::Arc::new(store));
        }
        race(server.start().await, pairs).await;
    }
}

async fn race(server: TestServer, pairs: usize) {
    let server = std::sync::Arc::new(server);
    let alice = server.user("user-alice", "Alice").await;
    let mut current = alice.refresh_token;
    for _ in 0..pairs {
        let race = |token: String| {
            let server = server.clone();
            tokio::spawn(async move {
                let answer = server
                    .post("/auth/refresh")
                    .json(&json!({"refresh_token": token}))
                    .send()
                    .await
                    .expect("an answer");
                assert_eq!(answer.status(), 200);
                answer.json::<Value>().await.expect("JSON")["refresh_token"].as_str().expect("a token").to_owned()
            })
        };
        let (one, other) = (race(current.clone()), race(current.clone()));
        let (one, other) = (one.await.expect("no panic"), other.await.expect("no panic"));
        assert_eq!(one, other, "both have the same successor");
        current = one;
    }
}

#[tokio::test]
async fn a_revocation_outlives_a_restart() {
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    server.post("/auth/logout").bearer_auth(&alice.token).send().await.expect("an answer");
    let remembered = server.store.revocations().await.expect("a store");
    assert_eq!(remembered.len(), 1);
}
