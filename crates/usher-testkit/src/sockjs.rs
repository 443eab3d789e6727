//! A SockJS client for tests, over a WebSocket: wraps and unwraps, and shows what came as it came.

use std::collections::VecDeque;

use serde_json::{Value, json};

use crate::{Closed, Refused, TestClient, TestServer, Upgrade};

/// A SockJS session over `/sockjs/000/test/websocket`, or the raw endpoint.
pub struct SockJsClient {
    client: TestClient,
    raw: bool,
    /// Messages of one frame that were not asked for yet, as they stood in it.
    waiting: VecDeque<Value>,
    /// What the `c[…]` frame said.
    told: Option<Closed>,
}

impl SockJsClient {
    /// Opens a session with what `upgrade` brings, and reads its `o`.
    pub async fn open(server: &TestServer, upgrade: Upgrade) -> Result<Self, Refused> {
        let query = upgrade.query().map(|query| format!("?{query}")).unwrap_or_default();
        let mut client = server.connect(upgrade.on(format!("/sockjs/000/test/websocket{query}"))).await?;
        assert_eq!(client.next_text().await.as_deref(), Ok("o"));
        Ok(Self { client, raw: false, waiting: VecDeque::new(), told: None })
    }

    /// Opens the raw endpoint.
    pub async fn open_raw(server: &TestServer, upgrade: Upgrade) -> Result<Self, Refused> {
        let client = server.connect(upgrade.on("/sockjs/websocket")).await?;
        Ok(Self { client, raw: true, waiting: VecDeque::new(), told: None })
    }

    /// Sends one message, wrapped as it should be.
    pub async fn send(&mut self, message: &Value) {
        let text = message.to_string();
        let text = if self.raw { text } else { json!([text]).to_string() };
        self.client.send_text(&text).await;
    }

    /// Sends a text as it is.
    pub async fn send_text(&mut self, text: &str) {
        self.client.send_text(text).await;
    }

    /// Sends `{"auth":"user:key"}`.
    pub async fn authenticate(&mut self, user: &str, key: &str) {
        self.send(&json!({ "auth": format!("{user}:{key}") })).await;
    }

    /// The next item of an `a[…]` frame as it stands there, a string or an object; or how the session ended.
    pub async fn next_item(&mut self) -> Result<Value, Closed> {
        loop {
            if let Some(item) = self.waiting.pop_front() {
                return Ok(item);
            }
            let text = match self.client.next_text().await {
                Ok(text) => text,
                Err(closed) => {
                    // The frame and the WebSocket say the same.
                    if let Some(told) = &self.told {
                        assert_eq!(*told, closed);
                    }
                    return Err(closed);
                }
            };
            if self.raw {
                return Ok(serde_json::from_str(&text).expect("messages are JSON"));
            }
            match text.split_at(1) {
                ("a", items) => self.waiting = serde_json::from_str(items).expect("an array"),
                ("c", close) => {
                    let (code, reason) = serde_json::from_str(close).expect("a code and a reason");
                    self.told = Some(Closed { code, reason });
                }
                ("h", "") => {}
                _ => panic!("no SockJS frame: {text}"),
            }
        }
    }

    /// The next message: the JSON in a string, or an object.
    pub async fn next(&mut self) -> Result<Value, Closed> {
        Ok(match self.next_item().await? {
            Value::String(text) => serde_json::from_str(&text).expect("messages are JSON"),
            object => object,
        })
    }

    /// The next message, which must be of type `kind`, or OctoPrint's event of that name.
    pub async fn expect(&mut self, kind: &str) -> Value {
        let message = self.next().await.unwrap_or_else(|closed| panic!("expected {kind}, was closed: {closed:?}"));
        match message.get(kind) {
            Some(payload) if message["type"] != kind => payload.clone(),
            _ => {
                assert_eq!(message["type"], kind, "{message}");
                message
            }
        }
    }

    /// Reads to the end: all messages that still come, and how it ended.
    pub async fn closed(&mut self) -> (Vec<Value>, Closed) {
        let mut messages = Vec::new();
        loop {
            match self.next().await {
                Ok(message) => messages.push(message),
                Err(closed) => return (messages, closed),
            }
        }
    }

    /// A barrier, as [`TestClient::ping`].
    pub async fn ping(&mut self) -> Vec<Value> {
        self.send(&json!({"type": "ping", "id": "barrier"})).await;
        let mut messages = Vec::new();
        loop {
            let message = self.next().await.unwrap_or_else(|closed| panic!("closed before the pong: {closed:?}"));
            if message["type"] == "pong" && message["id"] == "barrier" {
                return messages;
            }
            messages.push(message);
        }
    }
}
