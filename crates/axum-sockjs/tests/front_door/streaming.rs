//! `xhr_streaming`, `eventsource` and `htmlfile`: one frame is one chunk.

use axum_sockjs::{Close, Config, Ended};

use super::client::Client;
use super::world::World;

#[tokio::test]
async fn xhr_streaming_begins_with_padding_and_writes_a_frame_a_chunk() {
    let mut world = World::new().await;
    let mut answer = world.client.post("/s/0/a/xhr_streaming", "").await;
    assert_eq!(answer.header("content-type"), Some("application/javascript; charset=UTF-8"));
    assert_eq!(answer.chunk().await.unwrap(), "h".repeat(2048) + "\n");
    assert_eq!(answer.chunk().await.unwrap(), "o\n");
    let (session, _) = world.session().await;
    session.send("x").unwrap();
    assert_eq!(answer.chunk().await.unwrap(), "a[\"x\"]\n");
    session.send("last").unwrap();
    session.close(Close::new(3001, "enough"));
    assert_eq!(answer.chunk().await.unwrap(), "a[\"last\"]\n");
    assert_eq!(answer.chunk().await.unwrap(), "c[3001,\"enough\"]\n");
    assert_eq!(answer.chunk().await, None);
}

#[tokio::test]
async fn eventsource_begins_with_an_empty_line() {
    let mut world = World::new().await;
    let mut answer = world.client.get("/s/0/a/eventsource").await;
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    assert_eq!(answer.chunk().await.unwrap(), "\r\n");
    assert_eq!(answer.chunk().await.unwrap(), "data: o\r\n\r\n");
    let (session, _) = world.session().await;
    session.send("  \0\n\r ").unwrap();
    assert_eq!(answer.chunk().await.unwrap(), "data: a[\"  \\u0000\\n\\r \"]\r\n\r\n");
}

#[tokio::test]
async fn htmlfile_begins_with_more_than_a_kibibyte_of_page() {
    let mut world = World::new().await;
    let mut answer = world.client.get("/s/0/a/htmlfile?c=%63allback").await;
    assert_eq!(answer.header("content-type"), Some("text/html; charset=UTF-8"));
    let head = answer.chunk().await.unwrap();
    assert!(head.len() > 1024 && head.contains("var c = parent.callback;"), "{head}");
    assert_eq!(answer.chunk().await.unwrap(), "<script>\np(\"o\");\n</script>\r\n");
    let (session, _) = world.session().await;
    session.send("</script>").unwrap();
    assert_eq!(answer.chunk().await.unwrap(), "<script>\np(\"a[\\\"\\u003c/script>\\\"]\");\n</script>\r\n");
}

#[tokio::test]
async fn htmlfile_wants_a_callback_that_is_a_name() {
    let world = World::new().await;
    let answer = world.client.get("/s/0/a/htmlfile").await;
    assert_eq!(answer.status, 500);
    assert!(answer.body().await.contains("\"callback\" parameter required"));
    for bad in ["%20", "*", "abc(", "abc%28"] {
        let answer = world.client.get(&format!("/s/0/a/htmlfile?c={bad}")).await;
        assert_eq!(answer.status, 500);
        assert!(answer.body().await.contains("invalid \"callback\" parameter"));
    }
    assert_eq!(world.service.sessions(), 0);
}

#[tokio::test]
async fn a_stream_ends_after_the_response_limit_and_the_session_goes_on() {
    let mut config = Config::default();
    config.limits.response_bytes = 4096;
    let mut world = World::with(config).await;
    let mut answer = world.client.post("/s/0/a/xhr_streaming", "").await;
    answer.chunk().await.unwrap();
    assert_eq!(answer.chunk().await.unwrap(), "o\n");
    let (session, _) = world.session().await;
    let text = "x".repeat(128);
    for _ in 0..31 {
        session.send(text.clone()).unwrap();
        assert_eq!(answer.chunk().await.unwrap(), format!("a[\"{text}\"]\n"));
    }
    assert_eq!(answer.chunk().await, None, "31 frames of 134 bytes are more than 4096");
    session.send("next").unwrap();
    assert_eq!(world.client.poll("/0/a").await, "a[\"next\"]\n");
}

#[tokio::test]
async fn a_stream_that_breaks_off_interrupts_the_session() {
    let mut world = World::new().await;
    let mut answer = world.client.post("/s/0/a/xhr_streaming", "").await;
    answer.chunk().await.unwrap();
    assert_eq!(answer.chunk().await.unwrap(), "o\n");
    let (session, _) = world.session().await;
    drop(answer);
    assert_eq!(world.client.poll("/0/a").await, "c[1002,\"Connection interrupted\"]\n");
    assert_eq!(session.ended(), Some(Ended::Interrupted));
}

#[tokio::test]
async fn http_1_0_streams_until_the_end_of_the_connection() {
    let mut world = World::new().await;
    let client = Client { version: "1.0", ..world.client.clone() };
    let answer = client.with("Connection", "Keep-Alive").post("/s/0/a/xhr_streaming", "").await;
    assert_eq!(answer.header("transfer-encoding"), None);
    assert_eq!(answer.header("content-length"), None);
    let (session, _) = world.session().await;
    session.close(Close::GO_AWAY);
    let rest = answer.until_eof().await;
    assert_eq!(rest, "h".repeat(2048) + "\no\nc[3000,\"Go away!\"]\n");
}
