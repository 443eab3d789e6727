//! Ten thousand sockets that say nothing do not keep anybody out who can say who they are (req E3).

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use usher_testkit::Upgrade;

use crate::process::{Place, log_in};

const SILENT: usize = 10_000;
/// As many as one address may have.
const PER_ADDRESS: usize = 1_000;
/// Upgrades under way at once.
const AT_ONCE: usize = 100;

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_silent_sockets_keep_nobody_out() {
    // req E3, E1
    let place = Place::new("[[routes]]\npath = \"/ws\"\nfirst_message = { timeout = \"60s\" }\n");
    place.add_user("alice");
    let server = place.start();
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let tokens = log_in(&http, server.url.as_str(), "alice").await.expect("a log-in");
    let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), server.url.port().expect("a port"));
    let mut silent = Vec::with_capacity(SILENT);
    for number in (0..SILENT).step_by(AT_ONCE) {
        // 127.0.0.2 and on: as many addresses as the budget needs.
        let from = Ipv4Addr::new(127, 0, 0, u8::try_from(2 + number / PER_ADDRESS).expect("few addresses"));
        let batch = (0..AT_ONCE).map(|_| tokio::spawn(wait_in_silence(from, address)));
        for socket in futures_util::future::join_all(batch).await {
            let (socket, status) = socket.expect("no panic");
            assert_eq!(status, "101", "socket {} of {SILENT}", silent.len() + 1);
            silent.push(socket);
        }
    }
    // The budget is full, whoever asks.
    let (_, status) = wait_in_silence(Ipv4Addr::new(127, 0, 0, 99), address).await;
    assert_eq!(status, "429");
    // Who can say at the upgrade who they are is not in that budget.
    let connect = async {
        let mut socket = Upgrade::at("/ws").bearer(&tokens.access).connect(&server.url).await.expect("let in");
        socket.expect("authenticated").await;
        assert!(socket.ping().await.is_empty());
    };
    tokio::time::timeout(Duration::from_secs(2), connect).await.expect("without a wait");
    // One that leaves makes room for one.
    silent.pop();
    loop {
        let (_socket, status) = wait_in_silence(Ipv4Addr::new(127, 0, 0, 99), address).await;
        if status == "101" {
            break;
        }
    }
}

/// An upgrade without a credential; the socket and the answer's status.
async fn wait_in_silence(from: Ipv4Addr, to: SocketAddr) -> (TcpStream, String) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(SocketAddr::new(from.into(), 0)).expect("a loopback address");
    let mut stream = socket.connect(to).await.expect("the server listens");
    let request = format!(
        "GET /ws HTTP/1.1\r\nHost: {to}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.expect("written");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("an answer"));
    }
    let status = String::from_utf8_lossy(&head).split(' ').nth(1).expect("a status").to_owned();
    (stream, status)
}
