//! Session keys on the socket: they let in who holds the session, for as long as there is one, and nobody else.

use std::sync::Arc;
use std::time::Duration;

use reqwest::RequestBuilder;
use serde_json::{Value, json};
use usher_auth::ids::UserId;
use usher_auth::protocol::SockJsDialect;
use usher_store::Store;
use usher_store::memory::MemoryStore;
use usher_testkit::{SockJsClient, TestServer, Upgrade, sockjs};

const PASSWORD: &str = "correct horse battery staple";

async fn start() -> TestServer {
    let store = Arc::new(MemoryStore::default());
    let endpoint = sockjs(SockJsDialect { lenient: true, octoprint: true });
    let builder = TestServer::builder().store(store).settings(|settings| settings.sockjs = Some(endpoint));
    let server = builder.start().await;
    server.db_add_user("alice", "Alice", &["user"]).await;
    server.db_add_user("bob", "Bob", &["user"]).await;
    server
}

/// What `POST /api/login` answers, and the session cookie.
async fn log_in(server: &TestServer, user: &str) -> (String, String) {
    let request = server.post("/api/login").json(&json!({"user": user, "pass": PASSWORD}));
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let cookie = answer.headers()["set-cookie"].to_str().expect("text");
    let cookie = cookie.split(';').next().and_then(|pair| pair.split_once('=')).expect("a cookie").1.to_owned();
    let body: Value = answer.json().await.expect("JSON");
    (body["session"].as_str().expect("a key").to_owned(), cookie)
}

/// A session that has been greeted, and knows nobody yet.
async fn open(server: &TestServer) -> SockJsClient {
    let mut client = SockJsClient::open(server, Upgrade::at("")).await.expect("a session");
    client.expect("connected").await;
    client
}

async fn enter(server: &TestServer, user: &str, key: &str) -> (SockJsClient, Value) {
    let mut client = open(server).await;
    client.authenticate(user, key).await;
    let authenticated = client.expect("authenticated").await;
    client.expect("history").await;
    (client, authenticated)
}

async fn assert_refused(server: &TestServer, what: &str, user: &str, key: &str) {
    let mut client = open(server).await;
    client.authenticate(user, key).await;
    let error = client.expect("error").await;
    let expected = if what.contains("past") { "session_expired" } else { "invalid_token" };
    assert_eq!(error["code"], expected, "{what}");
    assert_eq!(client.expect("reauthRequired").await["reason"], "stale", "{what}");
    // Failures are counted, and throttling must not be what refuses the next one.
    server.clock.advance(Duration::from_secs(10));
}

#[tokio::test]
async fn the_holder_is_let_in_until_the_session_ends() {
    // req C6
    let server = start().await;
    let (key, cookie) = log_in(&server, "alice").await;
    let (mut client, authenticated) = enter(&server, "alice", &key).await;
    let (user, carrier) = (&authenticated["user"], &authenticated["carrier"]);
    assert_eq!((user, carrier), (&json!({"id": "alice", "name": "Alice"}), &json!("sockjs")));
    let begun = server.clock.unix().as_seconds();
    // The clock goes on by itself, too.
    let is_about = |end: &Value, expected: i64| (end.as_i64().expect("an end") - expected).abs() <= 5;
    assert!(is_about(&authenticated["expires_at"], begun + 24 * 3600), "the session's idle limit");
    // The socket's messages are uses of the session, as with its cookie.
    server.clock.advance(Duration::from_mins(90));
    client.ping().await;
    // It is noted away from the socket's path, and written later.
    let alice = UserId::new("alice").expect("an id");
    let seen = async |store: &dyn Store| {
        store.sessions_of(&alice, None, 9).await.expect("a store")[0].last_seen_at.as_seconds() - begun
    };
    while seen(server.server().store()).await <= 0 {
        tokio::task::yield_now().await;
    }
    assert!((90 * 60 - 5..90 * 60 + 5).contains(&seen(server.server().store()).await));
    assert!(seen(&*server.store).await <= 0, "not written yet");
    server.server().write_new_session_uses().await;
    assert!((90 * 60 - 5..90 * 60 + 5).contains(&seen(&*server.store).await));
    // And what slides the session reaches the socket.
    let slid = server.post_with_cookie("/auth/refresh", &cookie).send().await.expect("an answer");
    assert_eq!(slid.status(), 200);
    assert!(is_about(&client.expect("authenticated").await["expires_at"], begun + 90 * 60 + 24 * 3600));
}

#[tokio::test]
async fn what_ends_the_session_reaches_the_socket() {
    // req H3, H4
    let server = start().await;
    let (key, cookie) = log_in(&server, "alice").await;
    let (mut client, _) = enter(&server, "alice", &key).await;
    let out = server.post_with_cookie("/api/logout", &cookie).send().await.expect("an answer");
    assert_eq!(out.status(), 200);
    assert_eq!(client.expect("reauthRequired").await["reason"], "logout");
    // The key is worth nothing now; a new log-in's key lets in on the same connection.
    client.authenticate("alice", &key).await;
    assert_eq!(client.expect("error").await["code"], "invalid_token");
    assert_eq!(client.expect("reauthRequired").await["reason"], "stale");
    let (key, _) = log_in(&server, "alice").await;
    client.authenticate("alice", &key).await;
    client.expect("authenticated").await;
    client.expect("history").await;
    server.db_disable("alice").await;
    assert_eq!(client.expect("reauthRequired").await["reason"], "removed");
    assert_refused(&server, "a disabled user's key", "alice", &key).await;
}

#[tokio::test]
async fn a_key_is_its_users_and_its_sessions_alone() {
    // req F1, F11
    let server = start().await;
    let (bobs, _) = log_in(&server, "bob").await;
    let (alices, cookie) = log_in(&server, "alice").await;
    let session: Value = {
        let request = server.get("/auth/session").header("cookie", format!("usher={cookie}"));
        request.send().await.expect("an answer").json().await.expect("JSON")
    };
    let session = session["session"].as_str().expect("an id").to_owned();
    let key_of = |sid: &str, user: &str| {
        let mut claims = server.mint.claims(user).with("sid", sid);
        claims.typ = Some("usher-session-key+jwt".to_owned());
        claims
    };
    let written = |token: &str| format!("uso_{token}");
    let access_token = server.mint.sign(&server.mint.claims("alice").with("sid", session.as_str()));
    let unprefixed = alices.strip_prefix("uso_").expect("the prefix");
    let expired = server.clock.unix().as_seconds() - 60;
    for (what, user, key) in [
        ("bob's key with alice's name", "alice", bobs),
        ("alice's key with bob's name", "bob", alices.clone()),
        ("an access token with the prefix of a key", "alice", written(&access_token)),
        ("a key without its prefix", "alice", unprefixed.to_owned()),
        ("a key with two prefixes", "alice", written(&alices)),
        ("another signature", "alice", written(&server.mint.forge(&key_of(&session, "alice")))),
        ("another's session", "bob", written(&server.mint.sign(&key_of(&session, "bob")))),
        ("no such session", "alice", written(&server.mint.sign(&key_of("ses_AAAAAAAAAAAAAAAAAAAAAA", "alice")))),
        ("no session", "alice", written(&server.mint.sign(&key_of(&session, "alice").with("sid", Value::Null)))),
        ("another audience", "alice", written(&server.mint.sign(&key_of(&session, "alice").with("aud", "others")))),
        ("an end in the past", "alice", written(&server.mint.sign(&key_of(&session, "alice").with("exp", expired)))),
        ("the cookie's secret", "alice", cookie.clone()),
        ("the cookie's secret with the prefix", "alice", written(&cookie)),
        ("nothing but the prefix", "alice", "uso_".to_owned()),
    ] {
        assert_refused(&server, what, user, &key).await;
    }
    enter(&server, "alice", &written(&server.mint.sign(&key_of(&session, "alice")))).await;
    enter(&server, "alice", &alices).await;
}

#[tokio::test]
async fn a_key_ends_with_the_session_it_was_made_for() {
    let server = start().await;
    let (key, cookie) = log_in(&server, "alice").await;
    server.clock.advance(Duration::from_hours(23));
    server.post_with_cookie("/auth/refresh", &cookie).send().await.expect("an answer");
    server.clock.advance(Duration::from_hours(2));
    assert_refused(&server, "a key from the past", "alice", &key).await;
    // The session goes on, and gives a new one.
    let passive = server.post_with_cookie("/api/login", &cookie).json(&json!({"passive": true}));
    let body: Value = passive.send().await.expect("an answer").json().await.expect("JSON");
    enter(&server, "alice", body["session"].as_str().expect("a key")).await;
}

#[tokio::test]
async fn a_token_with_a_name_is_that_users() {
    let server = start().await;
    let token = server.log_in("alice").await.token;
    assert_refused(&server, "alice's token with bob's name", "bob", &token).await;
    let (_, authenticated) = enter(&server, "alice", &token).await;
    let end = authenticated["expires_at"].as_i64().expect("a date") - server.clock.unix().as_seconds();
    assert!(end <= 600, "the token's end, not the session's: {end}");
    server.clock.advance(Duration::from_mins(11));
    assert_refused(&server, "a token from the past", "alice", &token).await;
}

#[tokio::test]
async fn guesses_on_the_socket_are_counted_for_the_account_they_name() {
    // req K2
    let server = start().await;
    let (bobs, _) = log_in(&server, "bob").await;
    for _ in 0..12 {
        let mut client = open(&server).await;
        client.authenticate("alice", &bobs).await;
        client.expect("error").await;
    }
    let guess = server.post("/api/login").json(&json!({"user": "alice", "pass": "wrong"}));
    assert_eq!(guess.send().await.expect("an answer").status(), 429);
    let another = server.post("/api/login").json(&json!({"user": "bob", "pass": "wrong"}));
    assert_eq!(another.send().await.expect("an answer").status(), 403, "bob is another account");
}

#[tokio::test]
async fn a_session_key_opens_no_other_door() {
    // req F11
    let server = start().await;
    let (key, _) = log_in(&server, "alice").await;
    let status = async |request: RequestBuilder| request.send().await.expect("an answer").status().as_u16();
    let token = key.strip_prefix("uso_").expect("the prefix");
    for written in [key.clone(), token.to_owned(), format!("alice:{key}")] {
        for upgrade in [
            Upgrade::at(format!("/only/query?token={written}")),
            Upgrade::at(format!("/only/ticket?ticket={written}")),
            Upgrade::at("/only/header").header("x-api-key", &written),
        ] {
            assert_eq!(server.connect(upgrade).await.err().expect("refused").status, 401, "{written}");
        }
        let mut socket = server.connect(Upgrade::at("/only/first_message")).await.expect("a socket that waits");
        socket.send(&json!({"type": "auth", "token": written})).await;
        assert_eq!(socket.closed().await.1.code, 4001);
        // Nor over SockJS, but as the half of a pair.
        let mut socket = open(&server).await;
        socket.send(&json!({"type": "auth", "token": written})).await;
        assert_eq!(socket.expect("error").await["code"], "invalid_token");
        for header in ["x-api-key", "cookie"] {
            let value = if header == "cookie" { format!("usher={written}") } else { written.clone() };
            assert_eq!(status(server.get("/auth/session").header(header, value)).await, 401, "{header}");
        }
    }
    for written in [key.as_str(), token] {
        assert_eq!(status(server.get("/auth/session").bearer_auth(written)).await, 401);
        assert_eq!(
            status(server.post("/api/login").json(&json!({"passive": true})).bearer_auth(written)).await,
            403,
            "nor does it buy another"
        );
        let refresh = server.post("/auth/refresh").json(&json!({"refresh_token": written}));
        assert_eq!(status(refresh).await, 400);
    }
}
