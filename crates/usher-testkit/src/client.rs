//! A WebSocket client for tests: upgrades with any headers, reads frames one by one, and knows how it was closed.

use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, Stream, StreamExt as _};
use http::{HeaderName, HeaderValue};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};
use url::Url;

use crate::settings::ORIGIN;

/// Longest a test waits for something that must come. Reaching it is a failure.
const PATIENCE: Duration = Duration::from_secs(10);

/// An upgrade request.
#[derive(Clone, Debug)]
pub struct Upgrade {
    path: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// An upgrade that was answered over HTTP.
#[derive(Debug)]
pub struct Refused {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: http::HeaderMap,
    /// The problem document.
    pub problem: Value,
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The close code.
    pub code: u16,
    /// The close reason.
    pub reason: String,
}

/// A connected client.
pub struct TestClient {
    socket: WebSocketStream<TcpStream>,
    /// The subprotocol the server chose.
    pub subprotocol: Option<String>,
}

impl Upgrade {
    /// At `path`, which may have a query.
    pub fn at(path: impl Into<String>) -> Self {
        Self { path: path.into(), headers: Vec::new() }
    }

    /// The query of its path, if it has one.
    pub fn query(&self) -> Option<&str> {
        self.path.split_once('?').map(|(_, query)| query)
    }

    /// The same request at another path.
    #[must_use]
    pub fn on(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// With a header more.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((HeaderName::from_static(name), HeaderValue::from_str(value).expect("a header value")));
        self
    }

    /// With `Authorization: Bearer`.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// With the session cookie, from the page that may use it.
    #[must_use]
    pub fn cookie(self, cookie: &str) -> Self {
        self.header("cookie", &format!("usher={cookie}")).browser()
    }

    /// From the page that may use its visitors' cookies.
    #[must_use]
    pub fn browser(self) -> Self {
        self.header("origin", ORIGIN)
    }

    /// Connect to the server at `base`.
    pub async fn connect(self, base: &Url) -> Result<TestClient, Refused> {
        let address = format!("{}:{}", base.host_str().expect("a host"), base.port().expect("a port"));
        let stream = TcpStream::connect(&address).await.expect("the server listens");
        self.connect_over(stream, &address).await
    }

    /// Connect over a stream to `address`.
    pub async fn connect_over(self, stream: TcpStream, address: &str) -> Result<TestClient, Refused> {
        let mut request = format!("ws://{address}{}", self.path).into_client_request().expect("a request");
        for (name, value) in self.headers {
            request.headers_mut().append(name, value);
        }
        let upgraded = tokio::time::timeout(PATIENCE, client_async(request, stream)).await.expect("an answer in time");
        match upgraded {
            Ok((socket, response)) => {
                let subprotocol = response.headers().get("sec-websocket-protocol");
                let subprotocol = subprotocol.map(|value| value.to_str().expect("text").to_owned());
                Ok(TestClient { socket, subprotocol })
            }
            Err(Error::Http(response)) => {
                let (head, body) = response.into_parts();
                let problem = body.and_then(|body| serde_json::from_slice(&body).ok()).unwrap_or(Value::Null);
                Err(Refused { status: head.status.as_u16(), headers: head.headers, problem })
            }
            Err(error) => panic!("the upgrade failed: {error}"),
        }
    }
}

impl TestClient {
    /// Send JSON as text.
    pub async fn send(&mut self, message: &Value) {
        self.send_text(&message.to_string()).await;
    }

    /// Send text. That the server is gone is for the next read to find.
    pub async fn send_text(&mut self, text: &str) {
        let _ = self.socket.send(Message::text(text)).await;
    }

    /// Send bytes.
    pub async fn send_binary(&mut self, bytes: Vec<u8>) {
        let _ = self.socket.send(Message::binary(bytes)).await;
    }

    /// Send any message, control frames too.
    pub async fn send_message(&mut self, message: Message) {
        let _ = self.socket.send(message).await;
    }

    /// Send a frame as it is.
    pub async fn send_frame(&mut self, frame: Frame) {
        let _ = self.socket.send(Message::Frame(frame)).await;
    }

    /// The next frame, or how the connection ended.
    pub async fn next(&mut self) -> Result<Value, Closed> {
        Ok(serde_json::from_str(&self.next_text().await?).expect("frames are JSON"))
    }

    /// The next text as it came, or how the connection ended.
    pub async fn next_text(&mut self) -> Result<String, Closed> {
        loop {
            if let Message::Text(text) = self.next_message().await? {
                return Ok(text.as_str().to_owned());
            }
        }
    }

    /// The next binary message, or how the connection ended. A text is a failure.
    pub async fn next_binary(&mut self) -> Result<Vec<u8>, Closed> {
        match self.next_message().await? {
            Message::Binary(bytes) => Ok(bytes.to_vec()),
            other => panic!("expected bytes: {other:?}"),
        }
    }

    /// The next message of either kind, or how the connection ended.
    async fn next_message(&mut self) -> Result<Message, Closed> {
        next_message(&mut self.socket).await
    }

    /// The two directions apart.
    pub fn split(self) -> (TestSender, TestReceiver) {
        let (sender, receiver) = self.socket.split();
        (TestSender(sender), TestReceiver(receiver))
    }

    /// The next frame, which must be of type `kind`.
    pub async fn expect(&mut self, kind: &str) -> Value {
        let frame = self.next().await.unwrap_or_else(|closed| panic!("expected {kind}, was closed: {closed:?}"));
        assert_eq!(frame["type"], kind, "{frame}");
        frame
    }

    /// Reads to the end: all frames that still come, and how it ended.
    pub async fn closed(&mut self) -> (Vec<Value>, Closed) {
        let mut frames = Vec::new();
        loop {
            match self.next().await {
                Ok(frame) => frames.push(frame),
                Err(closed) => return (frames, closed),
            }
        }
    }

    /// A barrier: everything the server did before it answers is done. Returns the frames that came first.
    pub async fn ping(&mut self) -> Vec<Value> {
        self.send(&serde_json::json!({"type": "ping", "id": "barrier"})).await;
        let mut frames = Vec::new();
        loop {
            let frame = self.next().await.unwrap_or_else(|closed| panic!("closed before the pong: {closed:?}"));
            if frame["type"] == "pong" && frame["id"] == "barrier" {
                return frames;
            }
            frames.push(frame);
        }
    }

    /// Join a room; the `joined` frame.
    pub async fn join(&mut self, room: &str) -> Value {
        self.send(&serde_json::json!({"type": "join", "room": room})).await;
        self.expect("joined").await
    }

    /// Send `auth` as the first message.
    pub async fn authenticate(&mut self, token: &str) {
        self.send(&serde_json::json!({"type": "auth", "token": token})).await;
    }

    /// Close from this side and wait for the answer.
    pub async fn close(mut self) -> Closed {
        let _ = self.socket.close(None).await;
        self.closed().await.1
    }

    /// Drop the TCP connection without a word.
    pub fn vanish(self) {
        drop(self);
    }
}

/// What a client sends, apart from what it reads.
pub struct TestSender(SplitSink<WebSocketStream<TcpStream>, Message>);

impl TestSender {
    /// Send bytes; waits while the server takes none.
    pub async fn send_binary(&mut self, bytes: Vec<u8>) {
        let _ = self.0.send(Message::binary(bytes)).await;
    }
}

/// What a client reads, apart from what it sends.
pub struct TestReceiver(SplitStream<WebSocketStream<TcpStream>>);

impl TestReceiver {
    /// The next binary message, or how the connection ended. A text is a failure.
    pub async fn next_binary(&mut self) -> Result<Vec<u8>, Closed> {
        match next_message(&mut self.0).await? {
            Message::Binary(bytes) => Ok(bytes.to_vec()),
            other => panic!("expected bytes: {other:?}"),
        }
    }
}

async fn next_message(stream: &mut (impl Stream<Item = Result<Message, Error>> + Unpin)) -> Result<Message, Closed> {
    loop {
        let message = tokio::time::timeout(PATIENCE, stream.next()).await.expect("a frame in time");
        match message {
            Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => return Ok(message),
            Some(Ok(Message::Close(Some(frame)))) => {
                return Err(Closed { code: frame.code.into(), reason: frame.reason.to_string() });
            }
            Some(Ok(Message::Close(None))) => return Err(Closed { code: 1005, reason: String::new() }),
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return Err(Closed { code: 1006, reason: String::new() }),
        }
    }
}
