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
    payload_start: u8,
    /// The payload as other transports wrap it, once one of them asked.
    wrapped: OnceLock<Box<[OnceLock<Arc<str>>; Wrapping::COUNT]>>,
}

/// How a transport other than a plain WebSocket wraps a payload. Endpoints that wrap differently may have members in one room, so what
/// was wrapped is kept for each of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrapping {
    /// As it is.
    Plain,
    /// As a JSON string.
    Quoted,
    /// As the JSON that it is, with characters escaped that a transport must not send.
    Escaped,
}

impl Wrapping {
    const COUNT: usize = 3;
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
        Self::encoded(bytes.into(), header_start, MAX_HEADER_BYTES)
    }

    /// Bytes that are ready to be written: a control frame, or what stands before the first frame. They have no text.
    pub fn ready(bytes: &[u8]) -> Self {
        Self::encoded(bytes.into(), 0, 0)
    }

    fn encoded(bytes: Box<[u8]>, header_start: usize, payload_start: usize) -> Self {
        let [header_start, payload_start] =
            [header_start, payload_start].map(|start| u8::try_from(start).expect("at most the longest header"));
        Self(Arc::new(Encoded { bytes, header_start, payload_start, wrapped: OnceLock::new() }))
    }

    /// The whole frame, header and payload: what goes to a WebSocket.
    pub fn as_websocket(&self) -> &[u8] {
        &self.0.bytes[usize::from(self.0.header_start)..]
    }

    /// The payload alone: JSON text. Empty if the frame was [ready](Self::ready) when it came.
    ///
    /// # Panics
    /// Never: serde_json writes UTF-8.
    pub fn text(&self) -> &str {
        match self.0.payload_start {
            0 => "",
            start => std::str::from_utf8(&self.0.bytes[usize::from(start)..]).expect("serde_json writes UTF-8"),
        }
    }

    /// The payload as `wrapping` has it: `wrap` makes it once, for the first receiver, and all receivers with the same `wrapping` share it.
    pub fn wrapped(&self, wrapping: Wrapping, wrap: impl FnOnce(&str) -> Arc<str>) -> Arc<str> {
        self.0.wrapped.get_or_init(Box::default)[wrapping as usize].get_or_init(|| wrap(self.text())).clone()
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

    #[test]
    fn each_wrapping_is_made_once_and_kept_apart() {
        let frame = Frame::json(&serde_json::json!({"a": 1}));
        let quoted = frame.wrapped(Wrapping::Quoted, |text| format!("{text:?}").into());
        let escaped = frame.wrapped(Wrapping::Escaped, |text| text.into());
        assert_eq!((&*quoted, &*escaped), (r#""{\"a\":1}""#, r#"{"a":1}"#));
        for (wrapping, made) in [(Wrapping::Quoted, quoted), (Wrapping::Escaped, escaped)] {
            let again = frame.clone().wrapped(wrapping, |_| panic!("made once"));
            assert!(Arc::ptr_eq(&made, &again), "{wrapping:?}: shared by all receivers");
        }
    }

    #[test]
    fn what_came_ready_is_written_as_it_is() {
        let pong = Frame::ready(&[0x8a, 1, 7]);
        assert_eq!((pong.as_websocket(), pong.len(), pong.text()), (&[0x8a, 1, 7][..], 3, ""));
    }
}
