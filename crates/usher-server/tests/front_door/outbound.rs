//! What waits to be written to a client is one queue, which is measured and bounded, over every transport (req M9).

use std::time::Duration;

use serde_json::{Value, json};
use usher_auth::throttle::MessageRate;
use usher_testkit::{TestClient, TestServer, Upgrade};

const LIMIT: usize = 64 * 1024;
/// More than the network's buffers take on loopback, with room to spare.
const MANY: usize = 2_000;

async fn start() -> TestServer {
    let server = TestServer::builder().settings(|settings| {
        settings.outbound_limit = LIMIT;
        settings.messages = MessageRate { interval: Duration::from_nanos(1), burst: u32::MAX };
    });
    server.start().await
}

/// What the metric says.
async fn queued(server: &TestServer) -> usize {
    let text = server.metrics().await;
    let line = text.lines().find_map(|line| line.strip_prefix("usher_outbound_queued_bytes ")).expect("the metric");
    line.parse().expect("a number")
}

/// Publishes to a room of which `reader` is, and which it does not read, doing `beside` each time; until the others see it leave. The
/// most that the metric said meanwhile.
async fn publish_until_it_leaves(server: &TestServer, reader: &str, mut beside: impl AsyncFnMut()) -> usize {
    let bob = server.user("bob", "Bob").await;
    let mut publisher = server.enter(Upgrade::at("/ws").bearer(&bob.token)).await;
    publisher.join("board-1").await;
    let data = "x".repeat(16 * 1024);
    let mut most = 0;
    for _ in 0..MANY {
        publisher.send(&json!({"type": "publish", "room": "board-1", "data": data})).await;
        beside().await;
        most = most.max(queued(server).await);
        let left = publisher.ping().await.into_iter().find(|frame| frame["type"] == "user_left");
        if let Some(left) = left {
            assert_eq!(left["user"]["id"], reader);
            return most;
        }
    }
    panic!("it was not closed; {most} bytes were queued at most");
}

fn assert_bounded(most: usize) {
    assert!(most > 0, "the metric tells of what waits");
    assert!(most <= LIMIT, "{most} bytes were queued");
}

#[tokio::test]
async fn a_reader_that_is_renewed_all_the_time_is_closed_at_the_bound() {
    // req M9: each renewal is answered, and the answer waits behind what was published, in the same queue.
    let server = start().await;
    let alice = server.user("alice", "Alice").await;
    let mut slow = server.enter(Upgrade::at("/ws").cookie(&alice.cookie)).await;
    slow.join("board-1").await;
    let most = publish_until_it_leaves(&server, "alice", async || {
        let renewed = server.post_with_cookie("/auth/refresh", &alice.cookie).send().await.expect("an answer");
        assert_eq!(renewed.status(), 200);
    })
    .await;
    assert_bounded(most);
    // It is counted once its socket is freed.
    while !server.metrics().await.contains("usher_connections_closed_total{cause=\"slow_consumer\"} 1") {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_sockjs_websocket_that_does_not_read_is_measured_and_closed_at_the_bound() {
    for path in ["/sockjs/000/slow/websocket", "/sockjs/websocket"] {
        let server = start().await;
        let alice = server.user("alice", "Alice").await;
        let mut slow = server.connect(Upgrade::at(path).bearer(&alice.token)).await.expect("let in");
        join(&mut slow, path).await;
        let most = publish_until_it_leaves(&server, "alice", async || {}).await;
        assert_bounded(most);
        assert!(server.metrics().await.contains("cause=\"slow_consumer\"} 1"), "{path}");
    }
}

async fn join(socket: &mut TestClient, path: &str) {
    let join = json!({"type": "join", "room": "board-1"}).to_string();
    let join = if path.ends_with("slow/websocket") { json!([join]).to_string() } else { join };
    socket.send_text(&join).await;
    while !socket.next_text().await.expect("it goes on").contains("joined") {}
}

#[tokio::test]
async fn what_waits_for_a_poll_is_measured() {
    let server = start().await;
    let alice = server.user("alice", "Alice").await;
    let poll = || server.post("/sockjs/000/slow/xhr").bearer_auth(&alice.token).send();
    let fetch = async || poll().await.expect("an answer").text().await.expect("text");
    assert_eq!(fetch().await, "o\n");
    let join = json!([json!({"type": "join", "room": "board-1"}).to_string()]).to_string();
    let joining = server.post("/sockjs/000/slow/xhr_send").bearer_auth(&alice.token).body(join);
    assert_eq!(joining.send().await.expect("an answer").status(), 204);
    while !fetch().await.contains("joined") {}
    let most = publish_until_it_leaves(&server, "alice", async || {}).await;
    assert_bounded(most);
    let mut told = String::new();
    while !told.contains("c[") {
        told.push_str(&fetch().await);
    }
    assert!(told.ends_with("c[4010,\"Slow consumer\"]\n"), "{told}");
    assert!(told.contains("bye") && !told.contains("xxxx"), "what waited was dropped: {told}");
    let left: Value = json!(queued(&server).await);
    assert_eq!(left, 0);
}
