//! A server that goes tells everybody, and nobody comes in meanwhile (req H14).

use std::time::Duration;

use usher_testkit::{TestServer, Upgrade};

#[tokio::test]
async fn everybody_is_told_to_come_back_later() {
    // req H14
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let mut sockets = Vec::new();
    for _ in 0..30 {
        sockets.push(server.enter(Upgrade::at("/ws").bearer(&alice.token)).await);
    }
    sockets.push(server.connect(Upgrade::at("/ws")).await.expect("it waits"));
    let read = async {
        let mut waits = Vec::new();
        for mut socket in sockets {
            let (frames, closed) = socket.closed().await;
            assert_eq!((closed.code, closed.reason.as_str()), (1012, "Server restarting"));
            let bye = frames.last().expect("a last frame");
            assert_eq!(bye["reconnect"], "yes");
            waits.push(bye["retry_after_ms"].as_u64().expect("a wait"));
        }
        waits
    };
    let (left, waits) = tokio::join!(server.server().drain(Duration::from_secs(2)), read);
    assert_eq!(left, 0);
    let (least, most) = (waits.iter().min().expect("some"), waits.iter().max().expect("some"));
    assert!(*most <= 5_000 && most - least > 500, "spread out: {waits:?}");
    let refused = server.connect(Upgrade::at("/http").bearer(&alice.token)).await.err().expect("refused");
    assert_eq!(refused.status, 503);
    assert!(refused.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn a_client_that_does_not_go_does_not_hold_the_server() {
    // req H14: nothing is read, nothing is answered.
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let _stubborn = server.enter(Upgrade::at("/ws").bearer(&alice.token)).await;
    // Its socket is freed after the linger, well within the limit.
    assert_eq!(server.server().drain(Duration::from_secs(5)).await, 0);
}
