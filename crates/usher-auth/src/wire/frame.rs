//! A text frame of ours, encoded once and shared by everyone it goes to.

use std::fmt;
use std::sync::{Arc, OnceLock};

use serde::Serialize;

/// Longest header of a frame a server sends: 2 bytes and a 64-bit length, no mask (RFC 6455 §5.2).
const MAX_HEADER_BYTES: usize = 10;
/// FIN and the opcode of text.
const FINAL_TEXT: u8 = 0x81;

/// A complete, unmasked WebSocket text frame. A server's frames are the same bytes for every receiver (only clients mask), so a
/// frame for a room is built once; a clone is a reference count.
#[derive(Clone)]
pub struct Frame(Arc<Encoded>);

struct Encoded {
    /// Unused space, header, payload.
    bytes: Box<[u8]>,
    header_start: u8,
    /// The payload as another transport wraps it.
    wrapped: OnceLock<Arc<str>>,
}

impl Frame {
    /// Encodes `message` as JSON.
    ///
    /// # Panics
    /// If `message` cannot be JSON (a map with keys that are no strings): our wire types always can.
    pub fn json(message: &impl Serialize) -> Self {
        let mut bytes = Vec::with_capacity(MAX_HEADER_BYTES + 118);
        bytes.resize(MAX_HEADER_BYTES, 0);
        serde_json::to_writer(&mut bytes, message).expect("wire types serialise to JSON");
        Self::finish(bytes)
    }

    /// Puts the header directly before the payload, which starts at [`MAX_HEADER_BYTES`].
    fn finish(mut bytes: Vec<u8>) -> Self {
        let length = bytes.len() - MAX_HEADER_BYTES;
        let mut header = [FINAL_TEXT, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let header_length = if let Ok(short @ 0..126) = u8::try_from(length) {
            header[1] = short;
            2
        } else if let Ok(medium) = u16::try_from(length) {
            header[1] = 126;
            header[2..4].copy_from_slice(&medium.to_be_bytes());
            4
        } else {
            header[1] = 127;
            header[2..10].copy_from_slice(&(length as u64).to_be_bytes());
            10
        };
        let header_start = MAX_HEADER_BYTES - header_length;
        bytes[header_start..MAX_HEADER_BYTES].copy_from_slice(&header[..header_length]);
        let header_start = u8::try_from(header_start).expect("at most 8");
        Self(Arc::new(Encoded { bytes: bytes.into_boxed_slice(), header_start, wrapped: OnceLock::new() }))
    }

    /// The whole frame, header and payload: what goes to a WebSocket.
    pub fn as_websocket(&self) -> &[u8] {
        &self.0.bytes[usize::from(self.0.header_start)..]
    }

    /// The payload alone: JSON text.
    ///
    /// # Panics
    /// Never: serde_json writes UTF-8.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.0.bytes[MAX_HEADER_BYTES..]).expect("serde_json writes UTF-8")
    }

    /// The payload as a transport other than a plain WebSocket wraps it: made once, by the first who asks, and shared. A server has one
    /// such transport, so all who ask wrap alike.
    pub fn wrapped(&self, wrap: impl FnOnce(&str) -> Arc<str>) -> Arc<str> {
        self.0.wrapped.get_or_init(|| wrap(self.text())).clone()
    }

    /// Bytes on the wire.
    pub fn len(&self) -> usize {
        self.as_websocket().len()
    }

    /// Never: a frame has a header.
    pub fn is_empty(&self) -> bool {
        false
    }
}

impl PartialEq for Frame {
    fn eq(&self, other: &Self) -> bool {
        self.as_websocket() == other.as_websocket()
    }
}

impl Eq for Frame {}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Users' messages do not belong in logs.
        write!(f, "Frame({} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_fits_the_length() {
        // RFC 6455 §5.2: the shortest form of the length must be used.
        for (text_length, header) in [
            (0, vec![0x81, 2]),
            (123, vec![0x81, 125]),
            (124, vec![0x81, 126, 0, 126]),
            (65_533, vec![0x81, 126, 0xff, 0xff]),
            (65_534, vec![0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let text = "x".repeat(text_length);
            let frame = Frame::json(&text);
            assert_eq!(frame.as_websocket()[..header.len()], header, "{text_length}");
            assert_eq!(frame.text(), format!("\"{text}\""));
            assert_eq!(frame.len(), header.len() + text_length + 2);
        }
    }
}
