//! Usher's SockJS endpoint, as a client sees it: messages are texts in an array of JSON, and frames begin with a letter.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;

use crate::wire::{Handshake, Transport};

/// Begins the frame that says that somebody was let in.
const AUTHENTICATED: &str = r#"a["{\"type\":\"authenticated\""#;

/// By the WebSocket of a new session; the token is the first message.
pub(crate) fn web_socket(token: &str) -> Handshake {
    Handshake {
        target: format!("{}/websocket", session()),
        first: Some(wrapped(&json!({ "type": "auth", "token": token }))),
        until: vec![AUTHENTICATED],
        ..Handshake::default()
    }
}

/// By `xhr_streaming`; the token is in the header of each request.
pub(crate) fn stream(token: &str) -> Handshake {
    let session = session();
    Handshake {
        transport: Transport::XhrStreaming { send: format!("{session}/xhr_send") },
        target: format!("{session}/xhr_streaming"),
        headers: vec![("Authorization", format!("Bearer {token}"))],
        first: None,
        until: vec![AUTHENTICATED],
    }
}

/// What joins a room, and how the answer begins.
pub(crate) fn join(room: &str) -> (String, &'static str) {
    (wrapped(&json!({ "type": "join", "room": room })), r#"a["{\"type\":\"joined\""#)
}

/// The path of a session that nobody else has.
fn session() -> String {
    static SESSIONS: AtomicU64 = AtomicU64::new(0);
    format!("/sockjs/000/bench-{}", SESSIONS.fetch_add(1, Ordering::Relaxed))
}

fn wrapped(message: &serde_json::Value) -> String {
    json!([message.to_string()]).to_string()
}
