//! `xhr` and `xhr_send`.

use axum_sockjs::{Close, Config, Ended};
use std::time::Duration;

use super::client::within;
use super::world::{World, message};

#[tokio::test]
async fn a_session_over_polls() {
    let mut world = World::new().await;
    let answer = world.client.post("/s/0/a/xhr", "").await;
    assert_eq!(answer.header("content-type"), Some("application/javascript; charset=UTF-8"));
    assert_eq!(answer.body().await, "o\n");
    let (mut session, _) = world.session().await;
    world.client.xhr_send("/0/a", r#"["x","y"]"#).await;
    assert_eq!(message(&mut session).await, "x");
    assert_eq!(message(&mut session).await, "y");
    session.send("a").unwrap();
    session.send_json(&serde_json::json!({"connected": {"version": "\u{2028}"}})).unwrap();
    assert_eq!(world.client.poll("/0/a").await, "a[\"a\",{\"connected\":{\"version\":\"\\u2028\"}}]\n");
}

#[tokio::test]
async fn a_waiting_poll_is_answered_when_there_is_something() {
    let mut world = World::new().await;
    let session = world.opened("/0/a").await;
    let poll = world.client.begin("POST", "/s/0/a/xhr", "").await;
    session.send("later").unwrap();
    assert_eq!(poll.answer().await.body().await, "a[\"later\"]\n");
}

#[tokio::test]
async fn the_server_id_is_ignored() {
    let mut world = World::new().await;
    let session = world.opened("/000/a").await;
    session.send("a").unwrap();
    assert_eq!(world.client.poll("/999/a").await, "a[\"a\"]\n");
}

#[tokio::test]
async fn a_second_receiver_is_sent_away_and_the_first_survives() {
    let mut world = World::new().await;
    let session = world.opened("/0/a").await;
    let mut first = world.client.post("/s/0/a/xhr_streaming", "").await;
    first.chunk().await.unwrap();
    assert_eq!(world.client.poll("/0/a").await, "c[2010,\"Another connection still open\"]\n");
    session.send("still here").unwrap();
    assert_eq!(first.chunk().await.unwrap(), "a[\"still here\"]\n");
}

#[tokio::test]
async fn a_closed_session_says_so_to_every_poll_and_then_begins_anew() {
    let mut world = World::with(Config { disconnect_delay: Duration::from_millis(500), ..Config::default() }).await;
    let session = world.opened("/0/a").await;
    session.close(Close::GO_AWAY);
    assert_eq!(world.client.poll("/0/a").await, "c[3000,\"Go away!\"]\n");
    assert_eq!(world.client.poll("/0/a").await, "c[3000,\"Go away!\"]\n");
    within(async { while world.client.poll("/0/a").await != "o\n" {} }).await;
}

#[tokio::test]
async fn an_aborted_poll_interrupts_the_session() {
    let mut world = World::new().await;
    let session = world.opened("/0/a").await;
    let poll = world.client.begin("POST", "/s/0/a/xhr", "").await;
    // Somebody is there: the poll has arrived.
    within(async { while world.client.poll("/0/a").await != "c[2010,\"Another connection still open\"]\n" {} }).await;
    drop(poll);
    assert_eq!(world.client.poll("/0/a").await, "c[1002,\"Connection interrupted\"]\n");
    assert_eq!(session.wait_ended().await, Ended::Interrupted);
}

#[tokio::test]
async fn a_session_that_nobody_polls_times_out() {
    let mut world = World::with(Config { disconnect_delay: Duration::from_millis(50), ..Config::default() }).await;
    let session = world.opened("/0/a").await;
    assert_eq!(within(session.wait_ended()).await, Ended::TimedOut);
}

#[tokio::test]
async fn a_poll_that_waits_is_told_a_heartbeat() {
    let mut world = World::with(Config { heartbeat: Duration::from_millis(50), ..Config::default() }).await;
    let _session = world.opened("/0/a").await;
    assert_eq!(world.client.poll("/0/a").await, "h\n");
}

#[tokio::test]
async fn xhr_send_says_what_is_wrong() {
    let mut world = World::new().await;
    let mut session = world.opened("/0/a").await;
    for (body, status, text) in [
        ("", 500, "Payload expected.\n"),
        ("{\"a\":1}", 500, "Payload expected.\n"),
        ("\"a\"", 500, "Payload expected.\n"),
        ("[1]", 500, "Payload expected.\n"),
        ("[\"x", 500, "Broken JSON encoding.\n"),
    ] {
        let answer = world.client.post("/s/0/a/xhr_send", body).await;
        assert_eq!(answer.status, status, "{body}");
        assert_eq!(answer.body().await, text, "{body}");
    }
    assert_eq!(world.client.post("/s/0/unknown/xhr_send", "[\"x\"]").await.status, 404);
    let answer = world.client.with("Content-Type", "text/xml").post("/s/0/a/xhr_send", "[\"x\"]").await;
    assert_eq!((answer.status, answer.header("content-type")), (204, Some("text/plain; charset=UTF-8")));
    assert_eq!(message(&mut session).await, "x", "the session goes on, and nothing else arrived");
    world.client.xhr_send("/0/a", "[]").await;
}

#[tokio::test]
async fn lone_surrogates_from_a_client_are_replaced() {
    let mut world = World::new().await;
    let mut session = world.opened("/0/a").await;
    world.client.xhr_send("/0/a", r#"["a\ud800b"]"#).await;
    assert_eq!(message(&mut session).await, "a\u{fffd}b");
}
