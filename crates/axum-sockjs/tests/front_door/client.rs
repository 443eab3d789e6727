//! An HTTP client that shows what is on the wire, and a WebSocket client.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tungstenite::Message;
use tungstenite::client::IntoClientRequest;

/// What never happens within this time does not happen.
const PATIENCE: Duration = Duration::from_secs(10);

pub async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it happens in time")
}

/// An answer of which the head was read.
pub struct Answer {
    pub status: u16,
    head: Vec<(String, String)>,
    stream: BufReader<TcpStream>,
}

/// A request that was sent, and whose answer was not waited for. Dropping it breaks it off.
pub struct Pending(TcpStream);

#[derive(Clone)]
pub struct Client {
    pub address: SocketAddr,
    pub version: &'static str,
    pub headers: Vec<(&'static str, String)>,
}

impl Client {
    pub fn new(address: SocketAddr) -> Self {
        Self { address, version: "1.1", headers: Vec::new() }
    }

    pub fn with(&self, name: &'static str, value: &str) -> Self {
        let mut client = self.clone();
        client.headers.push((name, value.to_owned()));
        client
    }

    pub async fn begin(&self, method: &str, path: &str, body: &str) -> Pending {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let headers: String = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let request = format!(
            "{method} {path} HTTP/{}\r\nHost: test\r\nContent-Length: {}\r\n{headers}\r\n{body}",
            self.version,
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        Pending(stream)
    }

    pub async fn send(&self, method: &str, path: &str, body: &str) -> Answer {
        self.begin(method, path, body).await.answer().await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, "").await
    }

    pub async fn post(&self, path: &str, body: &str) -> Answer {
        self.send("POST", path, body).await
    }

    pub async fn options(&self, path: &str) -> Answer {
        self.send("OPTIONS", path, "").await
    }

    /// What a poll is told.
    pub async fn poll(&self, session: &str) -> String {
        let answer = self.post(&format!("/s{session}/xhr"), "").await;
        assert_eq!(answer.status, 200);
        answer.body().await
    }

    /// Sends messages, which must be taken.
    pub async fn xhr_send(&self, session: &str, body: &str) {
        let answer = self.post(&format!("/s{session}/xhr_send"), body).await;
        assert_eq!(answer.status, 204);
    }

    pub async fn websocket(&self, path: &str) -> Socket {
        let request = self.upgrade(path);
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (socket, _) = within(tokio_tungstenite::client_async(request, stream)).await.unwrap();
        Socket(socket)
    }

    /// The status of a refused upgrade.
    pub async fn refused_websocket(&self, path: &str) -> u16 {
        let stream = TcpStream::connect(self.address).await.unwrap();
        match within(tokio_tungstenite::client_async(self.upgrade(path), stream)).await {
            Err(tungstenite::Error::Http(response)) => response.status().as_u16(),
            other => panic!("{other:?}"),
        }
    }

    fn upgrade(&self, path: &str) -> http::Request<()> {
        let mut request = format!("ws://{}{path}", self.address).into_client_request().unwrap();
        for (name, value) in &self.headers {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        request
    }
}

impl Pending {
    pub async fn answer(self) -> Answer {
        within(Answer::read(self.0)).await
    }
}

impl Answer {
    async fn read(stream: TcpStream) -> Self {
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        let status = line.split(' ').nth(1).unwrap_or_else(|| panic!("no answer: {line:?}")).parse().unwrap();
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await.unwrap();
            match line.trim_end().split_once(": ") {
                Some((name, value)) => head.push((name.to_ascii_lowercase(), value.to_owned())),
                None => return Self { status, head, stream },
            }
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    pub async fn body(mut self) -> String {
        if self.header("transfer-encoding").is_some() {
            let mut body = String::new();
            while let Some(chunk) = self.chunk().await {
                body.push_str(&chunk);
            }
            return body;
        }
        let length = self.header("content-length").expect("an answer of known length").parse().unwrap();
        let mut body = vec![0; length];
        within(self.stream.read_exact(&mut body)).await.unwrap();
        String::from_utf8(body).unwrap()
    }

    /// One chunk; `None` for the last, empty one.
    pub async fn chunk(&mut self) -> Option<String> {
        assert_eq!(self.header("transfer-encoding"), Some("chunked"));
        within(async {
            let mut line = String::new();
            self.stream.read_line(&mut line).await.unwrap();
            let length = usize::from_str_radix(line.trim_end(), 16).unwrap();
            let mut chunk = vec![0; length + 2];
            self.stream.read_exact(&mut chunk).await.unwrap();
            assert_eq!(chunk.split_off(length), b"\r\n");
            (length > 0).then(|| String::from_utf8(chunk).unwrap())
        })
        .await
    }

    /// All that comes until the server closes the connection.
    pub async fn until_eof(mut self) -> String {
        let mut rest = String::new();
        within(self.stream.read_to_string(&mut rest)).await.unwrap();
        rest
    }
}

pub struct Socket(pub WebSocketStream<TcpStream>);

impl Socket {
    pub async fn send(&mut self, text: &str) {
        within(self.0.send(Message::text(text))).await.unwrap();
    }

    /// The next text.
    pub async fn text(&mut self) -> String {
        loop {
            match within(self.0.next()).await.unwrap().unwrap() {
                Message::Text(text) => return text.as_str().to_owned(),
                Message::Ping(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Whether a ping comes next.
    pub async fn is_pinged(&mut self) -> bool {
        matches!(within(self.0.next()).await, Some(Ok(Message::Ping(_))))
    }

    /// Code and reason of the close frame that comes next.
    pub async fn closed(&mut self) -> (u16, String) {
        match within(self.0.next()).await.unwrap().unwrap() {
            Message::Close(Some(frame)) => (frame.code.into(), frame.reason.as_str().to_owned()),
            other => panic!("{other:?}"),
        }
    }
}
