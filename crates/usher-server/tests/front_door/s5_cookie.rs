//! S5: the cookie at the upgrade, on a route that takes nothing else and refuses by closing.

use std::time::Duration;

use serde_json::{Value, json};
use usher_auth::revocation::{RevocationCause, RevocationTarget};
use usher_testkit::{Closed, TestServer, Upgrade};

const ROUTE: &str = "/cookie";

async fn ends(server: &TestServer, upgrade: Upgrade) -> (Vec<Value>, Closed) {
    server.connect(upgrade).await.expect("accepted, to be told why").closed().await
}

fn closed(code: u16, reason: &str) -> Closed {
    Closed { code, reason: reason.to_owned() }
}

#[tokio::test]
async fn s5_log_in_and_open_the_socket() {
    // req J1, J3
    let server = TestServer::start().await;
    server.db_add_user("user-alice", "Alice", &["user"]).await;
    let login =
        server.post("/auth/login").json(&json!({"username": "user-alice", "password": "correct horse battery staple"}));
    let login = login.send().await.expect("an answer");
    let cookie = login.headers()["set-cookie"].to_str().expect("text").to_owned();
    for attribute in ["HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert!(!cookie.contains("Domain"), "{cookie}");
    let value = cookie.split(';').next().and_then(|pair| pair.strip_prefix("usher=")).expect("the cookie");
    let mut client = server.connect(Upgrade::at(ROUTE).cookie(value)).await.expect("let in");
    let authenticated = client.expect("authenticated").await;
    assert_eq!(authenticated["user"], json!({"id": "user-alice", "name": "Alice"}));
    assert_eq!(authenticated["carrier"], "cookie");
}

#[tokio::test]
async fn s5_without_the_cookie() {
    let server = TestServer::start().await;
    let (frames, end) = ends(&server, Upgrade::at(ROUTE).browser()).await;
    assert_eq!(end, closed(4001, "Unauthorized"));
    assert_eq!(frames[0], json!({"type": "error", "error": "Unauthorized", "code": "missing_credential"}));
    assert_eq!(frames[1], json!({"type": "bye", "code": 4001, "reason": "Unauthorized", "reconnect": "no"}));
}

#[tokio::test]
async fn s5_an_unknown_session() {
    // req J1: an id the server did not issue is never adopted
    let server = TestServer::start().await;
    for unknown in [format!("uss_{}", "A".repeat(43)), "x".to_owned(), String::new()] {
        assert_eq!(
            ends(&server, Upgrade::at(ROUTE).cookie(&unknown)).await.1,
            closed(4001, "Invalid session"),
            "{unknown:?}"
        );
    }
}

#[tokio::test]
async fn s5_a_session_that_was_ended() {
    // req J5
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    assert_eq!(server.post_with_cookie("/auth/logout", &alice.cookie).send().await.expect("an answer").status(), 204);
    assert_eq!(ends(&server, Upgrade::at(ROUTE).cookie(&alice.cookie)).await.1, closed(4001, "Invalid session"));
}

#[tokio::test]
async fn s5_a_user_who_was_removed() {
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    // The cookie is in the verifier's cache when its user goes.
    server.enter(Upgrade::at(ROUTE).cookie(&alice.cookie)).await;
    server.db_delete("user-alice").await;
    let end = ends(&server, Upgrade::at(ROUTE).cookie(&alice.cookie)).await.1;
    assert!(end == closed(4001, "User not found") || end == closed(4001, "Invalid session"), "{end:?}");
}

#[tokio::test]
async fn s5_a_user_who_was_removed_while_the_session_is_cached() {
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    server.enter(Upgrade::at(ROUTE).cookie(&alice.cookie)).await;
    // The moment in which the session is revoked here and the store is read as it was before.
    let sessions = server.store.sessions_of(&"user-alice".parse().expect("an id"), None, 9).await.expect("a store");
    let target = RevocationTarget::Session(sessions[0].id.clone());
    let revocation = usher_auth::revocation::Revocation {
        target,
        cause: RevocationCause::UserDeleted,
        at: server.clock.unix(),
        forget_at: usher_auth::UnixTime::MAX,
    };
    let event = usher_store::SessionEvent::Revoked { revocations: vec![revocation], margin: None };
    let _ = server.server().sessions().apply(&event, usher_auth::Clock::now(&*server.clock));
    assert_eq!(ends(&server, Upgrade::at(ROUTE).cookie(&alice.cookie)).await.1, closed(4001, "User not found"));
}

#[tokio::test]
async fn s5_an_expired_session() {
    // req J4
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    server.clock.advance(Duration::from_hours(25));
    let (frames, end) = ends(&server, Upgrade::at(ROUTE).cookie(&alice.cookie)).await;
    assert_eq!(end, closed(4002, "Session expired"));
    assert_eq!(frames[1]["reconnect"], "renew");
}

#[tokio::test]
async fn s5_from_a_foreign_origin() {
    // req B1, B2, CVE-2023-2886, CVE-2023-30856
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let with =
        |origin: &str| Upgrade::at(ROUTE).header("cookie", &format!("usher={}", alice.cookie)).header("origin", origin);
    for origin in [
        "http://evil.test",
        "http://app.test.evil.test",
        "http://evilapp.test",
        "https://app.test",
        "http://app.test:8080",
        "null",
        "http://APP.test",
        "http://app.test.",
        "http://app.test/",
        "http://app.test@evil.test",
        "http://xn--pp-2ia.test",
        "",
    ] {
        let refused = server.connect(with(origin)).await.err().unwrap_or_else(|| panic!("{origin} got a socket"));
        assert_eq!((refused.status, &refused.problem["code"]), (403, &json!("origin_not_allowed")), "{origin}");
    }
    let two = with("http://app.test").header("origin", "http://app.test");
    assert_eq!(server.connect(two).await.err().expect("refused").status, 403);
    let none = Upgrade::at(ROUTE).header("cookie", &format!("usher={}", alice.cookie));
    assert_eq!(server.connect(none).await.err().expect("refused").status, 403);
    let without_cookie = Upgrade::at(ROUTE).header("origin", "http://evil.test");
    assert_eq!(server.connect(without_cookie).await.err().expect("refused").status, 403);
    server.enter(with("http://app.test")).await;
}

#[tokio::test]
async fn s5_forwarded_headers_do_not_change_the_decision() {
    // req B3
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let spoofed = Upgrade::at(ROUTE)
        .header("cookie", &format!("usher={}", alice.cookie))
        .header("origin", "http://evil.test")
        .header("x-forwarded-host", "evil.test")
        .header("x-forwarded-proto", "http")
        .header("forwarded", "host=evil.test");
    assert_eq!(server.connect(spoofed).await.err().expect("refused").status, 403);
}

#[tokio::test]
async fn s5_two_session_cookies_are_refused() {
    // req C1, J3
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let two = Upgrade::at("/http").header("cookie", &format!("usher={0}; usher={0}", alice.cookie)).browser();
    assert_eq!(server.connect(two).await.err().expect("refused").status, 400);
    let other_case = Upgrade::at(ROUTE).header("cookie", &format!("Usher={}", alice.cookie)).browser();
    assert_eq!(ends(&server, other_case).await.1, closed(4001, "Unauthorized"));
}

#[tokio::test]
async fn s5_a_stale_cookie_is_like_none_where_a_first_message_may_come() {
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let stale = format!("uss_{}", "A".repeat(43));
    let mut client = server.connect(Upgrade::at("/ws").cookie(&stale)).await.expect("waiting");
    client.authenticate(&alice.token).await;
    client.expect("authenticated").await;
    let foreign =
        Upgrade::at("/ws").header("cookie", &format!("usher={}", alice.cookie)).header("origin", "http://evil.test");
    let mut client = server.connect(foreign).await.expect("waiting, as nobody");
    client.send(&json!({"type": "join", "room": "board-1"})).await;
    assert_eq!(client.closed().await.1.code, 4001);
}

#[tokio::test]
async fn s5_a_log_in_ends_the_session_before_it() {
    // req J1, J2
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let mut old = server.enter(Upgrade::at(ROUTE).cookie(&alice.cookie)).await;
    let again = server.post_with_cookie("/auth/login", &alice.cookie);
    let again = again
        .json(&json!({"user": "user-alice", "pwd": "correct horse battery staple"}))
        .send()
        .await
        .expect("an answer");
    assert_eq!(again.status(), 200);
    assert!(!again.headers()["set-cookie"].to_str().expect("text").contains(&alice.cookie));
    assert_eq!(old.closed().await.1, closed(4004, "Session ended"));
    assert_eq!(ends(&server, Upgrade::at(ROUTE).cookie(&alice.cookie)).await.1.code, 4001);
}
