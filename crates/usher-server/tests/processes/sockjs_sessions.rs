//! Two thousand SockJS streams of somebody at once: what one costs, beside what a WebSocket costs.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::process::Place;

const SESSIONS: usize = 2_000;
/// Before the count begins: caches, buffers and tables have their first size then.
const WARM: usize = 100;
/// Sessions opened at once.
const AT_ONCE: usize = 50;
/// What one session may cost in resident memory, its HTTP connection with it. Measured: 25,700 in a debug build, of which a bare axum
/// stream is 10,700; and a third more.
const MAX_BYTES: usize = 34_000;

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_streams_of_somebody_stay_within_their_memory() {
    let place = Place::new(
        "[sockjs]\n[limits.connections]\nper_user = 10000\n[[rooms]]\npattern = \"*\"\njoin = [\"role:user\"]\n",
    );
    place.add_user("alice");
    let key = place.run(&["key", "add", "--user", "alice"]).trim().to_owned();
    let server = place.start();
    let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), server.url.port().expect("a port"));
    let mut streams = Vec::with_capacity(WARM + SESSIONS);
    let mut before = 0;
    for first in (0..WARM + SESSIONS).step_by(AT_ONCE) {
        if first == WARM {
            before = server.resident_bytes();
        }
        let batch = (first..first + AT_ONCE).map(|number| tokio::spawn(open(number, key.clone(), address)));
        for stream in futures_util::future::join_all(batch).await {
            streams.push(stream.expect("no panic"));
        }
    }
    let each = (server.resident_bytes() - before) / SESSIONS;
    println!("{each} bytes a session");
    assert!(each <= MAX_BYTES, "{each} bytes a session");
    // All of them are still there.
    for (number, stream) in streams.iter_mut().enumerate() {
        send(number, r#"{"type":"ping"}"#, &key, address).await;
        read_until(stream, "pong").await;
    }
}

/// A stream that has told who is in, and is in a room.
async fn open(number: usize, key: String, to: SocketAddr) -> TcpStream {
    let mut stream = request(number, "xhr_streaming", "", &key, to).await;
    read_until(&mut stream, "authenticated").await;
    send(number, r#"{"type":"join","room":"all"}"#, &key, to).await;
    read_until(&mut stream, "joined").await;
    stream
}

async fn send(number: usize, message: &str, key: &str, to: SocketAddr) {
    let body = serde_json::json!([message]).to_string();
    let mut sent = request(number, "xhr_send", &body, key, to).await;
    read_until(&mut sent, "204").await;
}

async fn request(number: usize, segment: &str, body: &str, key: &str, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    // As many addresses as have places for so many connections.
    let from = Ipv4Addr::new(127, 0, 0, u8::try_from(2 + number % 8).expect("few addresses"));
    socket.bind(SocketAddr::new(from.into(), 0)).expect("a loopback address");
    let mut stream = socket.connect(to).await.expect("the server listens");
    let request = format!(
        "POST /sockjs/000/session-{number}/{segment} HTTP/1.1\r\nHost: {to}\r\nX-Api-Key: {key}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.expect("written");
    stream
}

async fn read_until(stream: &mut TcpStream, what: &str) {
    let mut text = Vec::new();
    while !text.windows(what.len()).any(|window| window == what.as_bytes()) {
        assert!(stream.read_buf(&mut text).await.expect("read") > 0, "{}", String::from_utf8_lossy(&text));
    }
}
