//! Every frame of a client counts, also one that brings no message; and what came before a violation is answered (req M11).

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use usher_testkit::{TestServer, Upgrade};

const ENDPOINTS: [&str; 3] = ["/ws", "/sockjs/000/one/websocket", "/sockjs/websocket"];
/// More than a client may send at once.
const MANY: usize = 1_000;

#[tokio::test]
async fn frames_that_continue_a_message_for_ever_are_too_many() {
    // req M11, E2: empty ones, before and after a client is authenticated.
    for path in ENDPOINTS {
        for authenticated in [true, false] {
            let server = TestServer::start().await;
            let alice = server.user("alice", "Alice").await;
            let upgrade = Upgrade::at(path);
            let upgrade = if authenticated { upgrade.bearer(&alice.token) } else { upgrade };
            let mut socket = server.connect(upgrade).await.expect("accepted");
            socket.send_frame(Frame::message(Vec::new(), OpCode::Data(Data::Text), false)).await;
            for _ in 0..MANY {
                socket.send_frame(Frame::message(Vec::new(), OpCode::Data(Data::Continue), false)).await;
            }
            let code = loop {
                match socket.next_text().await {
                    Ok(_) => {}
                    Err(closed) => break closed.code,
                }
            };
            assert_eq!(code, 4029, "{path}, authenticated: {authenticated}");
        }
    }
}

#[tokio::test]
async fn a_message_in_a_few_frames_is_a_message() {
    for path in ENDPOINTS {
        let server = TestServer::start().await;
        let alice = server.user("alice", "Alice").await;
        let mut socket = server.connect(Upgrade::at(path).bearer(&alice.token)).await.expect("let in");
        let ping = ping(path);
        let (first, rest) = ping.split_at(5);
        socket.send_frame(Frame::message(first.to_owned(), OpCode::Data(Data::Text), false)).await;
        socket.send_frame(Frame::message(Vec::new(), OpCode::Data(Data::Continue), false)).await;
        socket.send_frame(Frame::message(rest.to_owned(), OpCode::Data(Data::Continue), true)).await;
        while !socket.next_text().await.expect("it goes on").contains("pong") {}
    }
}

/// A ping as it is sent there.
fn ping(path: &str) -> String {
    let ping = serde_json::json!({"type": "ping"}).to_string();
    if path.contains("000") { serde_json::json!([ping]).to_string() } else { ping }
}

#[tokio::test]
async fn a_message_before_a_violation_is_answered() {
    // Both in one write: a message, and a frame with a reserved bit.
    for path in ENDPOINTS {
        let server = TestServer::start().await;
        let alice = server.user("alice", "Alice").await;
        let address = (server.url.host_str().expect("a host"), server.url.port().expect("a port"));
        let mut stream = TcpStream::connect(address).await.expect("the server listens");
        let upgrade = format!(
            "GET {path} HTTP/1.1\r\nHost: {}:{}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer {}\r\n\r\n",
            address.0, address.1, alice.token
        );
        stream.write_all(upgrade.as_bytes()).await.expect("written");
        let mut said = Vec::new();
        while !String::from_utf8_lossy(&said).contains("authenticated") {
            assert!(stream.read_buf(&mut said).await.expect("read") > 0, "{path}: no upgrade");
        }
        let ping = ping(path);
        let mut sent = vec![0x81, 0x80 | u8::try_from(ping.len()).expect("a short message"), 0, 0, 0, 0];
        sent.extend(ping.as_bytes());
        sent.extend([0xf1, 0x80, 0, 0, 0, 0]);
        stream.write_all(&sent).await.expect("written");
        let mut said = Vec::new();
        stream.read_to_end(&mut said).await.expect("the end, and no reset");
        let text = String::from_utf8_lossy(&said);
        assert!(text.contains("pong"), "{path}: {text}");
        let close = said.windows(4).any(|bytes| bytes[0] == 0x88 && bytes[2..] == 1002_u16.to_be_bytes());
        assert!(close, "{path}: {text}");
    }
}
