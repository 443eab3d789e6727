//! Dead or quiet (req H13), and how much a socket may send before it is anybody's (req E2).

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use usher_testkit::{TestServer, Upgrade};

#[tokio::test]
async fn a_client_that_answers_nothing_is_gone() {
    // req H13: it never writes again, not even a pong.
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let address = format!("{}:{}", server.url.host_str().expect("a host"), server.url.port().expect("a port"));
    let mut stream = TcpStream::connect(&address).await.expect("it listens");
    let request = format!(
        "GET /beating HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nAuthorization: Bearer {}\r\n\r\n",
        alice.token
    );
    stream.write_all(request.as_bytes()).await.expect("written");
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut bytes)).await;
    read.expect("it is over in time").expect("an orderly end");
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains(r#""code":4011,"reason":"Ping timeout","reconnect":"yes""#), "{text}");
    let pings = bytes.windows(2).filter(|pair| *pair == [0x89, 0x00]).count();
    assert_eq!(pings, 1, "asked once");
    assert!(bytes.windows(4).any(|four| four[0] == 0x88 && four[2..] == 4011_u16.to_be_bytes()));
    assert_eq!(server.server().connections().count(), 0);
}

#[tokio::test]
async fn a_quiet_client_that_answers_stays() {
    // req H13: five intervals without a word of its own.
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let mut socket = server.enter(Upgrade::at("/beating").bearer(&alice.token)).await;
    // Reading answers the pings; nothing else comes, so this ends by its own patience.
    tokio::time::timeout(Duration::from_secs(1), socket.next()).await.expect_err("nothing comes");
    assert!(socket.ping().await.is_empty());
}

#[tokio::test]
async fn a_waiting_socket_may_send_so_much_and_no_more() {
    // req E2: pings do not count as the first message, but their bytes count.
    let server = TestServer::start().await;
    let mut socket = server.connect(Upgrade::at("/only/first_message")).await.expect("it waits");
    let ping = || Frame::ping(vec![0; 125]);
    for _ in 0..200 {
        socket.send_frame(ping()).await;
    }
    assert_eq!(socket.closed().await.1.code, 1009);
    // A frame whose header alone says too much, before any of it has come.
    let mut socket = server.connect(Upgrade::at("/only/first_message")).await.expect("it waits");
    let huge = Frame::message(vec![b' '; 64 * 1024], OpCode::Data(Data::Text), true);
    socket.send_frame(huge).await;
    assert_eq!(socket.closed().await.1.code, 1009);
}

#[tokio::test]
async fn control_frames_count_against_the_pace() {
    // req M11
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let mut socket = server.enter(Upgrade::at("/ws").bearer(&alice.token)).await;
    for _ in 0..100_000 {
        socket.send_frame(Frame::ping(Vec::new())).await;
    }
    let (frames, closed) = socket.closed().await;
    assert_eq!(closed.code, 4029);
    assert!(frames.last().expect("a last frame")["retry_after_ms"].as_u64() >= Some(1_000));
}

#[tokio::test]
async fn visitors_have_a_budget_of_their_own() {
    // req E3
    let server = TestServer::builder().settings(|settings| settings.anonymous.per_ip = 2).start().await;
    let alice = server.user("user-alice", "Alice").await;
    let mut first = server.enter(Upgrade::at("/anonymous")).await;
    let _second = server.enter(Upgrade::at("/anonymous")).await;
    let refused = server.connect(Upgrade::at("/anonymous")).await.err().expect("refused");
    assert_eq!(refused.status, 429);
    server.enter(Upgrade::at("/ws").bearer(&alice.token)).await;
    // Who becomes somebody makes room.
    first.authenticate(&alice.token).await;
    first.expect("authenticated").await;
    server.enter(Upgrade::at("/anonymous")).await;
}
