//! Every bound, and the drain.

use std::time::Duration;

use axum_sockjs::{Close, Config, Ended, Limits, Unsendable};

use super::client::within;
use super::world::{World, message};

async fn limited(limits: Limits) -> World {
    World::with(Config { limits, disconnect_delay: Duration::from_millis(100), ..Config::default() }).await
}

#[tokio::test]
async fn one_session_too_many_is_503_until_one_has_gone() {
    let mut world = limited(Limits { sessions: 2, ..Limits::default() }).await;
    let mut socket = world.client.websocket("/s/websocket").await;
    let mut stream = world.client.post("/s/0/a/xhr_streaming", "").await;
    stream.chunk().await.unwrap();
    assert_eq!(world.client.post("/s/0/b/xhr", "").await.status, 503);
    assert_eq!(world.client.refused_websocket("/s/0/b/websocket").await, 503);
    let (session, _) = world.session().await;
    within(socket.0.close(None)).await.unwrap();
    session.wait_ended().await;
    within(async { while world.client.post("/s/0/b/xhr", "").await.status == 503 {} }).await;
}

#[tokio::test]
async fn an_outbound_overflow_is_a_stated_close() {
    let limits = Limits { outbound_bytes: 1000, ..Limits::default() };
    let mut world = World::with(Config { limits, overflow: Close::new(4008, "too slow"), ..Config::default() }).await;
    let session = world.opened("/0/a").await;
    assert_eq!(session.send("x".repeat(1001)), Err(Unsendable::Overflow));
    assert_eq!(session.ended(), Some(Ended::Overflow));
    assert_eq!(world.client.poll("/0/a").await, "c[4008,\"too slow\"]\n");
}

#[tokio::test]
async fn a_websocket_that_reads_nothing_is_let_go() {
    let mut world = World::with(Config { disconnect_delay: Duration::from_mins(1), ..Config::default() }).await;
    let _socket = world.client.websocket("/s/0/a/websocket").await;
    let (session, _) = world.session().await;
    let text = "x".repeat(100_000);
    within(async {
        while session.send(text.clone()).is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(session.ended(), Some(Ended::Overflow));
    within(world.service.drain(Close::GO_AWAY)).await;
}

#[tokio::test]
async fn a_request_too_big_is_413() {
    let mut world = limited(Limits { request_bytes: 200, message_bytes: 100, ..Limits::default() }).await;
    let _session = world.opened("/0/a").await;
    let mut poll = world.client.post("/s/0/a/xhr_streaming", "").await;
    poll.chunk().await.unwrap();
    for length in [101, 201] {
        let body = format!("[\"{}\"]", "x".repeat(length));
        assert_eq!(world.client.post("/s/0/a/xhr_send", &body).await.status, 413);
    }
}

#[tokio::test]
async fn messages_that_nobody_reads_wait_and_are_then_refused() {
    let limits = Limits { inbound_bytes: 100, inbound_wait: Duration::from_millis(50), ..Limits::default() };
    let mut world = World::with(Config { limits, ..Config::default() }).await;
    let mut session = world.opened("/0/a").await;
    let body = format!("[\"{}\"]", "x".repeat(90));
    world.client.xhr_send("/0/a", &body).await;
    assert_eq!(world.client.post("/s/0/a/xhr_send", &body).await.status, 503);
    message(&mut session).await;
    world.client.xhr_send("/0/a", &body).await;
}

#[tokio::test]
async fn a_websocket_that_nobody_reads_waits() {
    let mut world = limited(Limits { inbound_bytes: 100, ..Limits::default() }).await;
    let mut socket = world.client.websocket("/s/0/a/websocket").await;
    let (mut session, _) = world.session().await;
    for number in 0..20 {
        socket.send(&format!("[\"{number}{}\"]", "x".repeat(90))).await;
    }
    session.send("meanwhile").unwrap();
    assert_eq!(socket.text().await, "o");
    assert_eq!(socket.text().await, "a[\"meanwhile\"]", "it still hears");
    for number in 0..20 {
        assert!(message(&mut session).await.starts_with(&number.to_string()));
    }
}

#[tokio::test]
async fn a_drain_closes_all_and_lets_nobody_in() {
    let mut world = limited(Limits::default()).await;
    let mut socket = world.client.websocket("/s/0/a/websocket").await;
    assert_eq!(socket.text().await, "o");
    let _session = world.session().await;
    let polled = world.opened("/0/b").await;
    let drain = tokio::spawn({
        let service = world.service.clone();
        async move { service.drain(Close::new(1012, "restarting")).await }
    });
    assert_eq!(socket.text().await, "c[1012,\"restarting\"]");
    assert_eq!(socket.closed().await, (1012, "restarting".to_owned()));
    assert_eq!(within(polled.wait_ended()).await, Ended::Drained(Close::new(1012, "restarting")));
    assert_eq!(world.client.post("/s/0/c/xhr", "").await.status, 503);
    within(drain).await.unwrap();
    assert_eq!(world.service.sessions(), 0);
}
