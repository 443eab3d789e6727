//! From HTTP to the socket: what is sent before, with and after the upgrade is answered in order, and nothing is lost between the two.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore};
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use usher_axum::WaitingLimits;
use usher_store::memory::MemoryStore;
use usher_testkit::{BarrierStore, TestServer, Upgrade};

/// An upgrade, with more headers if there are any.
fn upgrade(path: &str, headers: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{headers}\r\n"
    )
}

/// A text as a client sends it: masked.
fn text(message: &Value) -> Vec<u8> {
    let mut frame = Frame::message(message.to_string(), OpCode::Data(Data::Text), true);
    frame.header_mut().mask = Some([1, 2, 3, 4]);
    let mut bytes = Vec::new();
    frame.format(&mut bytes).expect("into memory");
    bytes
}

async fn connect(server: &TestServer) -> TcpStream {
    TcpStream::connect(server.url.socket_addrs(|| None).expect("an address")[0]).await.expect("it listens")
}

/// What comes until `last` has come.
async fn read_until(stream: &mut TcpStream, last: &str) -> String {
    let mut all = Vec::new();
    while !String::from_utf8_lossy(&all).contains(last) {
        let count = stream.read_buf(&mut all).await.expect("readable");
        assert!(count > 0, "it ended: {}", String::from_utf8_lossy(&all));
    }
    String::from_utf8_lossy(&all).into_owned()
}

#[tokio::test]
async fn the_101_and_the_first_frame_leave_together() {
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let mut stream = connect(&server).await;
    let request = upgrade("/ws", &format!("Authorization: Bearer {}\r\n", alice.token));
    stream.write_all(request.as_bytes()).await.expect("writable");
    let mut first = vec![0; 4096];
    let count = stream.read(&mut first).await.expect("readable");
    let first = String::from_utf8_lossy(&first[..count]);
    assert!(first.starts_with("HTTP/1.1 101 "), "{first}");
    assert!(first.contains("\"authenticated\""), "in one write: {first}");
}

#[tokio::test]
async fn what_is_sent_with_the_upgrade_is_heard_and_requests_before_it_are_answered() {
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let mut stream = connect(&server).await;
    let mut sent = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".to_vec();
    sent.extend_from_slice(upgrade("/only/first_message", "").as_bytes());
    sent.extend_from_slice(&text(&json!({"type": "auth", "token": alice.token})));
    sent.extend_from_slice(&text(&json!({"type": "ping", "id": 1})));
    stream.write_all(&sent).await.expect("writable");
    let came = read_until(&mut stream, "\"pong\"").await;
    let order = ["HTTP/1.1 200 ", "HTTP/1.1 101 ", "\"authenticated\"", "\"pong\""].map(|part| came.find(part));
    assert!(order.iter().all(Option::is_some) && order.is_sorted(), "{order:?} in {came}");
}

#[tokio::test]
async fn a_refused_upgrade_leaves_the_connection_to_http() {
    // req O1: past the router, with the headers that every answer has.
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let mut stream = connect(&server).await;
    stream.write_all(upgrade("/ws", "Authorization: Bearer a.b.c\r\n").as_bytes()).await.expect("writable");
    let refused = read_until(&mut stream, "\"status\":401").await;
    assert!(refused.starts_with("HTTP/1.1 401 "), "{refused}");
    for header in ["x-content-type-options: nosniff", "referrer-policy: no-referrer", "application/problem+json"] {
        assert!(refused.contains(header), "{header} in {refused}");
    }
    let request = upgrade("/ws", &format!("Authorization: Bearer {}\r\n", alice.token));
    stream.write_all(request.as_bytes()).await.expect("writable");
    assert!(read_until(&mut stream, "\"authenticated\"").await.starts_with("HTTP/1.1 101 "));
}

#[tokio::test]
async fn whoever_hangs_up_while_the_store_is_asked_keeps_no_place() {
    // req E3
    let store = BarrierStore::new(Arc::new(MemoryStore::default()));
    let builder = TestServer::builder().store(store.clone());
    let places = WaitingLimits { total: 3, per_ip: 3 };
    let server = builder.settings(move |settings| settings.waiting = places).start().await;
    let (asked, answer) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
    store.pause_with({
        let (asked, answer) = (asked.clone(), answer.clone());
        move || {
            let (asked, answer) = (asked.clone(), answer.clone());
            async move {
                asked.notify_one();
                drop(answer.acquire().await);
            }
        }
    });
    // A cookie that nobody has is none on a route that takes a first message: it has a place among those who wait.
    for number in 0..3 {
        let cookie = format!("Origin: http://app.test\r\nCookie: usher=uss_{:A<43}\r\n", format!("x{number}x"));
        let mut stream = connect(&server).await;
        stream.write_all(upgrade("/ws", &cookie).as_bytes()).await.expect("writable");
        asked.notified().await;
        stream.shutdown().await.expect("half open");
        assert!(!matches!(stream.read(&mut [0; 1]).await, Ok(1..)), "the server is done with it");
    }
    answer.add_permits(100);
    let everybody = async {
        let mut clients = Vec::new();
        while clients.len() < places.total {
            clients.extend(server.connect(Upgrade::at("/only/first_message")).await.ok());
        }
    };
    tokio::time::timeout(Duration::from_secs(20), everybody).await.expect("their places are free again");
}
