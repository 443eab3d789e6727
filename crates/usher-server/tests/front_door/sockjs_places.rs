//! Places of SockJS sessions: strangers' and users', open and ended (req E3, H15).

use std::time::Duration;

use http::Method;
use serde_json::json;
use usher_auth::protocol::SockJsDialect;
use usher_axum::{SockJsSettings, WaitingLimits};
use usher_testkit::{SockJsClient, TestServer, Upgrade, sockjs};

use crate::sockjs_requests::{PLAIN, poll, request, send, status, text};

/// A server in which two unauthenticated connections may wait from one address.
async fn with_two_places(dialect: SockJsDialect) -> TestServer {
    let settings = move |settings: &mut usher_server::server::ServerSettings| {
        settings.sockjs = Some(sockjs(dialect));
        settings.waiting = WaitingLimits { total: 100, per_ip: 2 };
    };
    TestServer::builder().settings(settings).start().await
}

#[tokio::test]
async fn sessions_of_nobody_have_the_budget_of_those_who_wait() {
    // req E3
    let server = with_two_places(PLAIN).await;
    let alice = server.user("alice", "Alice").await;
    assert_eq!(text(poll(&server, "one")).await, "o\n");
    let _two = SockJsClient::open(&server, Upgrade::at("")).await.expect("a session");
    let (refused, problem) = status(poll(&server, "three")).await;
    assert_eq!((refused, &problem["code"]), (429, &json!("too_many_connections")));
    assert_eq!(text(poll(&server, "four").bearer_auth(&alice.token)).await, "o\n");
    // Once in, a session of somebody does not wait any more.
    assert_eq!(send(&server, "one", &json!({"type": "auth", "token": alice.token})).await.status(), 204);
    assert!(text(poll(&server, "one")).await.contains("authenticated"));
    assert_eq!(text(poll(&server, "five")).await, "o\n");
}

#[tokio::test]
async fn ended_sessions_of_a_user_are_remembered_within_a_bound() {
    // req E3, H15: those of an account with too many connections, and those that their clients end.
    let server = TestServer::builder().settings(|settings| {
        settings.sockjs = Some(SockJsSettings { disconnect_delay: Duration::from_hours(1), ..sockjs(PLAIN) });
        settings.waiting = WaitingLimits { total: 100, per_ip: 2 };
        settings.connections.per_user = 1;
    });
    let server = server.start().await;
    let alice = server.user("alice", "Alice").await;
    assert_eq!(text(poll(&server, "open").bearer_auth(&alice.token)).await, "o\n");
    for number in 0..20 {
        assert_eq!(text(poll(&server, &format!("more-{number}")).bearer_auth(&alice.token)).await, "o\n");
    }
    let settled = async |most: usize| {
        let settled = async {
            while server.server().polled_sessions() > most {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(15), settled).await.expect("the others are forgotten");
    };
    // The one that is open, and one.
    settled(2).await;
    assert!(text(poll(&server, "open").bearer_auth(&alice.token)).await.contains("authenticated"));
    // The places are taken; a session that its client breaks the rules of is forgotten, too.
    for number in 0..5 {
        let name = if number == 0 { "open".to_owned() } else { format!("next-{number}") };
        if number > 0 {
            let opened = text(poll(&server, &name).bearer_auth(&alice.token)).await;
            assert_eq!(opened, "o\n");
        }
        let broken = request(&server, &Method::POST, &name, "xhr_send").bearer_auth(&alice.token).body("x");
        broken.send().await.expect("an answer");
        settled(2).await;
    }
}

#[tokio::test]
async fn strangers_keep_no_user_from_hearing_why_a_session_has_ended() {
    // req E3
    let server = with_two_places(PLAIN).await;
    let alice = server.user("alice", "Alice").await;
    let names = ["one", "two", "three", "four"];
    for name in names {
        assert_eq!(text(poll(&server, name).bearer_auth(&alice.token)).await, "o\n");
        assert!(text(poll(&server, name).bearer_auth(&alice.token)).await.contains("authenticated"));
    }
    for stranger in ["nobody", "nobody-else"] {
        assert_eq!(text(poll(&server, stranger)).await, "o\n");
    }
    assert_eq!(status(poll(&server, "no-more")).await.0, 429, "the places of those who wait are taken");
    let polls = names.map(|name| tokio::spawn(text(poll(&server, name).bearer_auth(&alice.token))));
    assert_eq!(server.post("/auth/logout").bearer_auth(&alice.token).send().await.expect("an answer").status(), 204);
    for poll in polls {
        let told = poll.await.expect("no panic");
        assert!(told.contains("bye") || told.starts_with("c[4004,"), "{told}");
    }
    for name in names {
        let told = text(poll(&server, name).bearer_auth(&alice.token)).await;
        assert!(told.starts_with("c[4004,"), "{name}: {told}");
    }
}

#[tokio::test]
async fn strangers_keep_no_octoprint_client_from_hearing_that_it_must_log_in_again() {
    // req E3: what was authenticated waits for another credential, in no stranger's place.
    let server = with_two_places(SockJsDialect { lenient: true, octoprint: true }).await;
    let alice = server.user("alice", "Alice").await;
    assert_eq!(text(poll(&server, "one").bearer_auth(&alice.token)).await, "o\n");
    let mut greeting = String::new();
    while !greeting.contains("connected") {
        greeting += &text(poll(&server, "one").bearer_auth(&alice.token)).await;
    }
    for stranger in ["nobody", "nobody-else"] {
        assert_eq!(text(poll(&server, stranger)).await, "o\n");
    }
    assert_eq!(server.post("/auth/logout").bearer_auth(&alice.token).send().await.expect("an answer").status(), 204);
    let told = text(poll(&server, "one").bearer_auth(&alice.token)).await;
    assert!(told.contains("reauthRequired") && !told.contains("bye"), "{told}");
}
