//! The upgrade request of a client.

use std::fmt::Write as _;
use std::net::SocketAddr;

/// What a client asks for at the door, and what it says once it is in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Handshake {
    /// Path and query.
    pub(crate) target: String,
    /// Beside those that every upgrade has.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// The frame to send first.
    pub(crate) first: Option<String>,
    /// The frames that must come, by how each begins, before the client counts as let in.
    pub(crate) until: Vec<&'static str>,
}

impl Handshake {
    /// The bytes of the request.
    pub(crate) fn request(&self, server: SocketAddr) -> Vec<u8> {
        let mut request = format!(
            "GET {} HTTP/1.1\r\nHost: {server}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
            self.target
        );
        for (name, value) in &self.headers {
            // Writing to a String cannot fail.
            let _ = write!(request, "{name}: {value}\r\n");
        }
        request.push_str("\r\n");
        request.into_bytes()
    }
}
