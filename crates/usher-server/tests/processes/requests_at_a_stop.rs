//! A request that has begun when the server is told to stop is carried out, answered and recorded (req H14, N1).

use std::sync::mpsc::Receiver;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::process::{PASSWORD, Place, Process};

/// Waits until the server has logged `message`.
async fn logged(log: Receiver<Value>, message: &'static str) -> Receiver<Value> {
    let wait = move || {
        while log.recv_timeout(Duration::from_secs(30)).expect("an entry")["message"] != message {}
        log
    };
    tokio::task::spawn_blocking(wait).await.expect("no panic")
}

/// A log-in of which the server has the head, and asks for the body.
async fn begin_log_in(server: &Process, body: &str) -> TcpStream {
    let address = server.url.socket_addrs(|| None).expect("an address")[0];
    let mut stream = TcpStream::connect(address).await.expect("connected");
    let head = format!(
        "POST /auth/login HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Expect: 100-continue\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.expect("written");
    // The server asks for the body: the request has begun.
    let mut answer = [0; 64];
    let length = stream.read(&mut answer).await.expect("an answer");
    assert!(answer[..length].starts_with(b"HTTP/1.1 100 "), "{}", String::from_utf8_lossy(&answer[..length]));
    stream
}

#[tokio::test]
async fn a_log_in_that_has_begun_is_carried_out_and_recorded() {
    let place = Place::new("[[routes]]\npath = \"/ws\"\n");
    place.add_user("alice");
    let (server, log) = place.start_with_log();
    let body = json!({"user": "alice", "pwd": PASSWORD}).to_string();
    let mut stream = begin_log_in(&server, &body).await;
    server.signal("TERM");
    drop(logged(log, "shutting down").await);
    stream.write_all(body.as_bytes()).await.expect("written");
    let mut answer = String::new();
    // The process ends right after its answer, which may reset the connection.
    let _ = stream.read_to_string(&mut answer).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(tokio::task::spawn_blocking(|| server.wait()).await.expect("no panic"), Some(0));
    assert!(!place.has("usher.db-wal"));
    let records = place.run(&["audit", "tail"]);
    let last: Vec<&str> = records.lines().rev().take(2).collect();
    assert!(last[0].contains("sys_shutdown") && last[1].contains("session_created"), "{records}");
}

#[tokio::test]
async fn a_second_signal_ends_the_wait_for_requests() {
    let place = Place::new("[[routes]]\npath = \"/ws\"\n");
    let (server, log) = place.start_with_log();
    let stream = begin_log_in(&server, "{}").await;
    server.signal("TERM");
    let log = logged(log, "shutting down").await;
    server.signal("TERM");
    drop(logged(log, "a second signal: not waiting for the rest").await);
    let ended = tokio::task::spawn_blocking(|| server.wait());
    // Long before the request would be given up.
    let code = tokio::time::timeout(Duration::from_secs(5), ended).await.expect("it ends");
    assert_eq!(code.expect("no panic"), Some(0));
    drop(stream);
}
