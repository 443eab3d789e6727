//! S13: the example as it is, with two clients.

use std::process::Stdio;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{WebSocketStream, client_async};
use usher_auth::Clock as _;
use usher_axum::ambient::SystemClock;

const SECRET: &str = "a secret of an application, long enough for HS256";

/// Longest a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(10);

/// Starts the example on a free port; its address.
async fn start() -> (Child, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_axum-chat"));
    command.arg("127.0.0.1:0").env("JWT_SECRET", SECRET).env("NO_COLOR", "1").stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let listening = async {
        loop {
            let line = lines.next_line().await.expect("text").expect("a line that says where it listens");
            if let Some((_, address)) = line.split_once("listening on ") {
                return address.trim().to_owned();
            }
        }
    };
    let address = tokio::time::timeout(PATIENCE, listening).await.expect("it listens soon");
    (child, address)
}

struct Client(WebSocketStream<TcpStream>);

impl Client {
    async fn connect(address: &str, user: &str, roles: &[&str]) -> Self {
        let now = SystemClock::new().now().unix.as_seconds();
        let claims = json!({"iss": "myapp", "aud": "chat", "sub": user, "roles": roles, "iat": now, "exp": now + 60});
        let key = EncodingKey::from_secret(SECRET.as_bytes());
        let token = encode(&Header::new(Algorithm::HS256), &claims, &key).expect("a token");
        let mut request = format!("ws://{address}/ws").into_client_request().expect("a request");
        request.headers_mut().insert("authorization", format!("Bearer {token}").parse().expect("a value"));
        let stream = TcpStream::connect(address).await.expect("it listens");
        let mut client = Self(client_async(request, stream).await.expect("let in").0);
        client.expect("authenticated").await;
        client
    }

    async fn send(&mut self, message: Value) {
        self.0.send(Message::text(message.to_string())).await.expect("sent");
    }

    /// The next frame of that type; those before it are passed over.
    async fn expect(&mut self, kind: &str) -> Value {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.0.next()).await.expect("a frame in time");
            let Some(Ok(Message::Text(text))) = next else { panic!("{kind}, not {next:?}") };
            let frame: Value = serde_json::from_str(&text).expect("JSON");
            if frame["type"] == kind {
                return frame;
            }
        }
    }
}

#[tokio::test]
async fn s13_the_chat_example_has_rooms_presence_and_rights() {
    let (_child, address) = start().await;
    let mut alice = Client::connect(&address, "alice", &[]).await;
    let mut bob = Client::connect(&address, "bob", &["staff"]).await;
    alice.send(json!({"type": "join", "room": "lobby-1"})).await;
    alice.expect("joined").await;
    bob.send(json!({"type": "join", "room": "lobby-1"})).await;
    assert_eq!(bob.expect("joined").await["viewers"], 2);
    assert_eq!(alice.expect("user_joined").await["user"]["id"], "myapp:bob");
    alice.send(json!({"type": "publish", "room": "lobby-1", "data": {"text": "hello"}})).await;
    let message = bob.expect("message").await;
    assert_eq!((&message["data"]["text"], &message["user"]["id"]), (&json!("hello"), &json!("myapp:alice")));
    bob.send(json!({"type": "join", "room": "staff-1"})).await;
    bob.expect("joined").await;
    alice.send(json!({"type": "join", "room": "staff-1"})).await;
    assert_eq!(alice.expect("error").await["code"], "forbidden");
}
