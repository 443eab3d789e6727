//! What is published reaches everybody once and in order, whoever writes it and however slowly it is read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use usher_auth::UnixTime;
use usher_auth::revocation::{RevocationCause, RevocationTarget};
use usher_testkit::{TestClient, TestServer, Upgrade};

const PUBLISHERS: usize = 3;
const MESSAGES: usize = 120;
/// Far more in all than what fits into the sockets' buffers.
const BYTES: usize = 32 * 1024;

async fn server() -> Arc<TestServer> {
    let server = TestServer::builder().settings(|settings| {
        settings.outbound_limit = 64 * 1024 * 1024;
        settings.messages.interval = std::time::Duration::from_nanos(1);
        settings.messages.burst = u32::MAX;
    });
    Arc::new(server.start().await)
}

/// A socket that takes little which is not read.
async fn narrow(server: &TestServer) -> (TcpStream, String) {
    let address = format!("127.0.0.1:{}", server.url.port().expect("a port"));
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    (socket.connect(address.parse().expect("an address")).await.expect("the server listens"), address)
}

/// Publishes, and reads what the others do.
async fn publish(mut client: TestClient, publisher: usize) {
    let padding = "x".repeat(BYTES);
    for number in 0..MESSAGES {
        let data = json!({"publisher": publisher, "number": number, "padding": padding});
        client.send(&json!({"type": "publish", "room": "board-1", "data": data})).await;
        if number % 10 == 9 {
            client.ping().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_gets_everything_once_and_in_order() {
    let server = server().await;
    let slow = server.user("user-slow", "Slow").await;
    let (stream, address) = narrow(&server).await;
    let upgrade = Upgrade::at("/ws").bearer(&slow.token);
    let mut slow = upgrade.connect_over(stream, &address).await.expect("let in");
    slow.expect("authenticated").await;
    slow.join("board-1").await;
    let waiting = server.connect(Upgrade::at("/ws")).await.expect("may wait");
    let mut publishing = Vec::new();
    for publisher in 0..PUBLISHERS {
        let user = server.user(&format!("user-{publisher}"), "Publisher").await;
        let mut client = server.enter(Upgrade::at("/ws").bearer(&user.token)).await;
        client.join("board-1").await;
        publishing.push(tokio::spawn(publish(client, publisher)));
    }
    for one in publishing {
        one.await.expect("no panic");
    }
    // Nothing was read: the socket is full, and the rest waits for it.
    assert!(server.server().connections().queued_bytes() > BYTES, "the socket took everything");
    let mut next = BTreeMap::new();
    let mut left = PUBLISHERS * MESSAGES;
    while left > 0 {
        let frame = slow.next().await.expect("open");
        if frame["type"] == "message" {
            let data = &frame["data"];
            let expected = next.entry(data["publisher"].as_u64().expect("a number")).or_insert(0_u64);
            assert_eq!(data["number"], *expected);
            *expected += 1;
            left -= 1;
        }
    }
    assert!(slow.ping().await.iter().all(|frame| frame["type"] != "message"), "none twice");
    // And nothing to whoever has not said who they are.
    let mut waiting = waiting;
    waiting.authenticate("nonsense").await;
    let frames = waiting.closed().await.0;
    assert!(frames.iter().all(|frame| frame["type"] != "message"), "{frames:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_revoked_amid_a_flood_hears_nothing_of_later() {
    // req H4: the flood to them is written while the revocation is carried out.
    let server = server().await;
    let user = server.user("user-alice", "Alice").await;
    let mut publisher = server.enter(Upgrade::at("/ws").bearer(&user.token)).await;
    publisher.join("board-1").await;
    for round in 0..20 {
        let id = format!("user-{round}");
        let listener = server.user(&id, "Listener").await;
        let mut heard = server.enter(Upgrade::at("/ws").bearer(&listener.token)).await;
        heard.join("board-1").await;
        let acknowledged = Arc::new(AtomicBool::new(false));
        let flood = {
            let acknowledged = acknowledged.clone();
            tokio::spawn(async move {
                let mut last = 0;
                // A few more after the acknowledgement.
                while last < 5 {
                    let late = acknowledged.load(Ordering::SeqCst);
                    last += usize::from(late);
                    let message = json!({"type": "publish", "room": "board-1", "data": {"late": late}});
                    for _ in 0..4 {
                        publisher.send(&message).await;
                    }
                    publisher.ping().await;
                }
                publisher
            })
        };
        let is_message = |frame: &Value| frame["type"] == "message";
        for _ in 0..round * 3 {
            heard.next().await.expect("still in");
        }
        let target =
            RevocationTarget::User { user: id.parse().expect("an id"), issued_before: UnixTime::MAX, except: None };
        assert_eq!(server.db_revoke(target, RevocationCause::Administrator).await, 1);
        acknowledged.store(true, Ordering::SeqCst);
        let (frames, closed) = heard.closed().await;
        assert_eq!(closed.code, 4004, "round {round}");
        assert!(
            frames.iter().filter(|frame| is_message(frame)).all(|frame| frame["data"]["late"] == false),
            "round {round}: heard after the acknowledgement"
        );
        publisher = flood.await.expect("no panic");
    }
}
