//! S13: the example as it is, with two clients.

#[path = "../../support/mod.rs"]
mod support;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use support::{PATIENCE, connect, start, token};

struct Client(WebSocketStream<TcpStream>);

impl Client {
    async fn connect(address: &str, user: &str, roles: &[&str]) -> Self {
        let mut client = Self(connect(address, &token("chat", user, roles)).await.expect("let in"));
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
    let (_child, address) = start(env!("CARGO_BIN_EXE_axum-chat")).await;
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
