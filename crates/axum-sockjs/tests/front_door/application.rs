//! What the application is asked, and what it can say.

use axum_sockjs::{Close, Config, Ended, Incoming, OnMalformed, Transport};
use http::StatusCode;

use super::client::within;
use super::world::World;

#[tokio::test]
async fn the_application_sees_who_opens() {
    let mut world = World::new().await;
    assert_eq!(world.client.with("Cookie", "me").poll("/0/a").await, "o\n");
    let (_session, facts) = world.session().await;
    assert_eq!(facts.transport, Transport::Xhr);
    assert_eq!(facts.method, "POST");
    assert_eq!(facts.cookie.as_deref(), Some("me"));
    assert!(facts.peer.unwrap().ip().is_loopback());
}

#[tokio::test]
async fn an_opener_can_be_refused_over_http_so_that_its_page_can_read_why() {
    let world = World::new().await;
    let client = world.client.with("Cookie", "bad").with("Origin", "https://example.org");
    let answer = client.post("/s/0/a/xhr", "").await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://example.org"));
    assert_eq!(answer.body().await, "who are you?");
    assert_eq!(client.refused_websocket("/s/0/a/websocket").await, 401);
    assert_eq!(client.refused_websocket("/s/websocket").await, 401);
    assert_eq!(world.service.sessions(), 0);
}

#[tokio::test]
async fn an_opener_can_be_accepted_and_told_a_close() {
    let mut world = World::new().await;
    let poll = world.opened("/0/a").await;
    poll.close(Close::new(4001, "unauthenticated"));
    assert_eq!(world.client.poll("/0/a").await, "c[4001,\"unauthenticated\"]\n");
}

#[tokio::test]
async fn every_later_request_is_asked_about() {
    let mut world = World::new().await;
    let me = world.client.with("Cookie", "me");
    assert_eq!(me.poll("/0/a").await, "o\n");
    let (session, _) = world.session().await;
    session.send("for me").unwrap();
    let thief = world.client.with("Cookie", "somebody");
    for (method, path) in [
        ("POST", "/s/0/a/xhr"),
        ("POST", "/s/0/a/xhr_send"),
        ("POST", "/s/0/a/xhr_streaming"),
        ("GET", "/s/0/a/eventsource"),
        ("GET", "/s/0/a/htmlfile?c=x"),
    ] {
        assert_eq!(thief.send(method, path, "[\"x\"]").await.status, 403, "{path}");
    }
    assert_eq!(me.poll("/0/a").await, "a[\"for me\"]\n", "the session stayed as it was");
}

#[tokio::test]
async fn the_application_can_answer_what_is_no_message() {
    let mut world = World::with_malformed(Config::default(), OnMalformed::Deliver).await;
    let mut socket = world.client.websocket("/s/0/a/websocket").await;
    assert_eq!(socket.text().await, "o");
    let (mut session, _) = world.session().await;
    for text in [r#"{"auth":"user:key"}"#, "[\"a", "[1]"] {
        socket.send(text).await;
        match within(session.receive()).await {
            Some(Incoming::Malformed(malformed)) => assert_eq!(malformed.text, text),
            other => panic!("{other:?}"),
        }
        session.send_json(&serde_json::json!({"notice": "an array, please"})).unwrap();
        assert_eq!(socket.text().await, r#"a[{"notice":"an array, please"}]"#);
    }

    let mut session = world.opened("/0/b").await;
    world.client.xhr_send("/0/b", "{}").await;
    assert!(matches!(within(session.receive()).await, Some(Incoming::Malformed(_))));
    assert_eq!(world.client.post("/s/0/b/xhr_send", "").await.status, StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn letting_go_of_a_session_closes_it() {
    let mut world = World::new().await;
    let session = world.opened("/0/a").await;
    let handle = session.handle();
    drop(session);
    assert_eq!(handle.ended(), Some(Ended::Application(Close::GO_AWAY)));
    assert_eq!(world.client.poll("/0/a").await, "c[3000,\"Go away!\"]\n");
    assert_eq!(world.client.post("/s/0/a/xhr_send", "[\"late\"]").await.status, 404);
}

#[tokio::test]
async fn a_close_now_drops_what_was_not_fetched() {
    let mut world = World::new().await;
    let session = world.opened("/0/a").await;
    session.send("secret").unwrap();
    session.close_now(Close::new(4002, "revoked"));
    assert_eq!(world.client.poll("/0/a").await, "c[4002,\"revoked\"]\n");
}

#[tokio::test]
async fn a_session_id_is_shown_nowhere() {
    let mut world = World::new().await;
    let session = world.opened("/0/hunter2").await;
    assert!(!format!("{session:?} {:?}", session.handle()).contains("hunter2"));
}
