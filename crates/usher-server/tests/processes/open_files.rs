//! Few open files: no source takes them all, and a process that has none left goes on when it has some again.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use usher_testkit::Upgrade;

use crate::process::{PASSWORD, Place, Process, Tokens};

const LIMIT: usize = 256;
/// More than there are files.
const MANY: usize = 300;

async fn connect(server: &Process, from: u8) -> Option<TcpStream> {
    let to = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), server.url.port().expect("a port"));
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(SocketAddr::new(Ipv4Addr::new(127, 0, 0, from).into(), 0)).expect("a loopback address");
    socket.connect(to).await.ok()
}

/// The connection and the status of its answer; `None` if the server closed it.
async fn ask(server: &Process, from: u8, request: &str) -> Option<(TcpStream, String)> {
    let mut stream = connect(server, from).await?;
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let status = String::from_utf8_lossy(&head).split(' ').nth(1)?.to_owned();
    Some((stream, status))
}

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
const UPGRADE: &str = "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";

async fn log_in(server: &Process, from: u8) -> Tokens {
    let from = std::net::IpAddr::from(Ipv4Addr::new(127, 0, 0, from));
    let http = reqwest::Client::builder().no_proxy().local_address(from).build().expect("a client");
    let request = http.post(format!("{}auth/login", server.url)).json(&json!({"user": "alice", "pwd": PASSWORD}));
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let body: serde_json::Value = answer.json().await.expect("JSON");
    let text = |name: &str| body[name].as_str().expect("text").to_owned();
    Tokens { access: text("token"), refresh: text("refresh_token") }
}

#[tokio::test]
async fn one_source_does_not_take_all_open_files() {
    // req E3
    let place = Place::new("[[routes]]\npath = \"/ws\"\nfirst_message = { timeout = \"60s\" }\n");
    place.add_user("alice");
    let server = place.start_under(&format!("ulimit -n {LIMIT}"));
    assert_eq!(server.logged("open files are needed for limits.waiting.total (10000)").len(), 1);
    // Connections that are kept open, and each answered once.
    let mut held = Vec::new();
    for _ in 0..MANY {
        held.extend(ask(&server, 2, HEALTH).await.filter(|(_, status)| status == "200"));
    }
    assert_eq!(held.len(), LIMIT / 8 / 4, "connections that are not upgraded");
    let tokens = log_in(&server, 3).await;
    drop(held);
    // Sockets that wait for a first message.
    let mut waiting = Vec::new();
    for _ in 0..MANY {
        if let Some((stream, status)) = ask(&server, 2, UPGRADE).await {
            if status == "101" {
                waiting.push(stream);
            } else {
                assert_eq!(status, "429");
            }
        }
    }
    assert_eq!(waiting.len(), LIMIT / 2 / 4, "sockets that wait");
    // Sockets of a user: no more than a part of all files is one source's.
    let mut sockets = Vec::new();
    for _ in 0..MANY {
        let request = UPGRADE.replace("\r\n\r\n", &format!("\r\nAuthorization: Bearer {}\r\n\r\n", tokens.access));
        sockets.extend(ask(&server, 2, &request).await.filter(|(_, status)| status == "101"));
    }
    let of_connections = LIMIT - LIMIT / 4;
    assert_eq!(waiting.len() + sockets.len(), of_connections / 4, "sockets of one source");
    assert!(server.open_files() < LIMIT / 2, "{}", server.open_files());
    // Others notice nothing.
    let tokens = log_in(&server, 3).await;
    let mut socket = Upgrade::at("/ws").bearer(&tokens.access).connect(&server.url).await.expect("let in");
    socket.expect("authenticated").await;
    assert!(socket.ping().await.is_empty());
}

#[tokio::test]
async fn the_soft_limit_is_raised() {
    let place = Place::new("[[routes]]\npath = \"/ws\"\n");
    let server = place.start_under("ulimit -S -n 64");
    let mut held = Vec::new();
    for from in 2..12 {
        for _ in 0..10 {
            held.extend(ask(&server, from, HEALTH).await.filter(|(_, status)| status == "200"));
        }
    }
    assert_eq!(held.len(), 100);
    assert!(server.open_files() > 100, "all of them at once: {}", server.open_files());
}

#[tokio::test]
async fn check_says_what_does_not_fit() {
    let place = Place::new("[[routes]]\npath = \"/ws\"\n");
    let check = |limits: &str| place.run_under(limits, &["check"]);
    let few = check(&format!("ulimit -n {LIMIT}"));
    assert!(few.contains("warning: 30264 open files are needed"), "{few}");
    assert!(few.contains("and 256 are allowed"), "{few}");
    // What the configuration asks for can be made to fit.
    place.configure("[[routes]]\npath = \"/ws\"\n[limits]\nwaiting = { total = 100 }\n");
    assert!(check(&format!("ulimit -n {LIMIT}")).contains("limits.waiting.total (100)"));
}

#[tokio::test]
async fn a_process_without_a_file_left_goes_on_when_it_has_one() {
    let place = Place::new("[[routes]]\npath = \"/ws\"\n");
    let server = place.start();
    assert!(ask(&server, 2, HEALTH).await.is_some());
    // The first ones are all taken: by what it was started with, the runtime and the store.
    server.set_limit("nofile", "8:");
    let mut stream = connect(&server, 2).await.expect("the kernel completes it");
    stream.write_all(HEALTH.as_bytes()).await.expect("written");
    while server.logged("a connection could not be accepted").is_empty() {
        tokio::task::yield_now().await;
    }
    let ticks = server.processor_ticks();
    let mut head = [0; 12];
    let second = tokio::time::timeout(Duration::from_secs(1), stream.read_exact(&mut head)).await;
    assert!(second.is_err(), "there is no file for it");
    let used = server.processor_ticks() - ticks;
    assert!(used < 30, "{used} hundredths of a second in one");
    assert_eq!(server.logged("a connection could not be accepted").len(), 1, "it is not logged each time");
    server.set_limit("nofile", "1024:");
    tokio::time::timeout(Duration::from_secs(15), stream.read_exact(&mut head))
        .await
        .expect("in time")
        .expect("an answer");
    assert_eq!(&head, b"HTTP/1.1 200");
}
