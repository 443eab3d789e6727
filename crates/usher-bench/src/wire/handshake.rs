//! The request that a client opens its connection with.

use std::fmt::Write as _;
use std::net::SocketAddr;

/// How frames travel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Transport {
    #[default]
    WebSocket,
    /// SockJS's `xhr_streaming`: what the server sends is one long answer, and each message of the client a request of its own, to
    /// the path that is here.
    XhrStreaming { send: String },
}

/// What a client asks for at the door, and what it says once it is in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Handshake {
    pub(crate) transport: Transport,
    /// Path and query.
    pub(crate) target: String,
    /// Beside those that every such request has.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// The frame to send first.
    pub(crate) first: Option<String>,
    /// The frames that must come, by how each begins, before the client counts as let in.
    pub(crate) until: Vec<&'static str>,
}

impl Handshake {
    /// The bytes of the request.
    pub(crate) fn request(&self, server: SocketAddr) -> Vec<u8> {
        match self.transport {
            Transport::WebSocket => {
                let start = format!(
                    "GET {} HTTP/1.1\r\nHost: {server}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
                    self.target
                );
                self.finish(start, "")
            }
            Transport::XhrStreaming { .. } => self.post(&self.target, server, ""),
        }
    }

    /// The status that lets a client in.
    pub(crate) fn status(&self) -> &'static str {
        match self.transport {
            Transport::WebSocket => "101",
            Transport::XhrStreaming { .. } => "200",
        }
    }

    /// A POST of the same client.
    pub(crate) fn post(&self, target: &str, server: SocketAddr, body: &str) -> Vec<u8> {
        self.finish(format!("POST {target} HTTP/1.1\r\nHost: {server}\r\nContent-Length: {}\r\n", body.len()), body)
    }

    fn finish(&self, mut request: String, body: &str) -> Vec<u8> {
        for (name, value) in &self.headers {
            // Writing to a String cannot fail.
            let _ = write!(request, "{name}: {value}\r\n");
        }
        request.push_str("\r\n");
        request.push_str(body);
        request.into_bytes()
    }
}
