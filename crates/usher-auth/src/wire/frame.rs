//! A frame, encoded once and shared by all connections that it goes to.

use std::fmt;
use std::sync::{Arc, OnceLock};

use serde::Serialize;

/// Longest header of a frame a server sends: 2 bytes and a 64-bit length, no mask (RFC 6455 §5.2).
const MAX_HEADER_BYTES: usize = 10;
/// FIN and the opcode of text.
const FINAL_TEXT: u8 = 0x81;
/// FIN and the opcode of binary.
const FINAL_BINARY: u8 = 0x82;

/// A complete, unmasked WebSocket frame. A server's frames are the same bytes for every receiver (only clients mask), so a
/// frame for a room is built once; a clone is a reference count.
#[derive(Clone)]
pub struct Frame(Arc<Encoded>);

struct Encoded {
    /// Unused space, header, payload.
    bytes: Box<[u8]>,
    header_start: u8,
    payload_start: u8,
    /// The payload as other protocols and transports write it, once one of them asked.
    encodings: OnceLock<Box<Encoding>>,
}

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload<'a> {
    /// Text.
    Text(&'a str),
    /// Bytes.
    Binary(&'a [u8]),
    /// It was [ready](Frame::ready) when it came: a control frame.
    Ready,
}

/// An encoding of a frame's payload for one kind of receiver, and a place for the next kind's.
struct Encoding {
    key: &'static str,
    text: Arc<str>,
    next: OnceLock<Box<Self>>,
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
        Self::finish(bytes, FINAL_TEXT)
    }

    /// A text message.
    pub fn from_text(text: &str) -> Self {
        Self::of(text.as_bytes(), FINAL_TEXT)
    }

    /// A binary message.
    pub fn from_binary(bytes: &[u8]) -> Self {
        Self::of(bytes, FINAL_BINARY)
    }

    fn of(payload: &[u8], opcode: u8) -> Self {
        let mut bytes = Vec::with_capacity(MAX_HEADER_BYTES + payload.len());
        bytes.resize(MAX_HEADER_BYTES, 0);
        bytes.extend_from_slice(payload);
        Self::finish(bytes, opcode)
    }

    /// Puts the header directly before the payload, which starts at [`MAX_HEADER_BYTES`].
    fn finish(mut bytes: Vec<u8>, opcode: u8) -> Self {
        let length = bytes.len() - MAX_HEADER_BYTES;
        let mut header = [opcode, 0, 0, 0, 0, 0, 0, 0, 0, 0];
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
        Self::with_bytes(bytes.into(), header_start, MAX_HEADER_BYTES)
    }

    /// Bytes that are ready to be written: a control frame, or what stands before the first frame. They have no text.
    pub fn ready(bytes: &[u8]) -> Self {
        Self::with_bytes(bytes.into(), 0, 0)
    }

    fn with_bytes(bytes: Box<[u8]>, header_start: usize, payload_start: usize) -> Self {
        let [header_start, payload_start] =
            [header_start, payload_start].map(|start| u8::try_from(start).expect("at most the longest header"));
        Self(Arc::new(Encoded { bytes, header_start, payload_start, encodings: OnceLock::new() }))
    }

    /// The whole frame, header and payload: what goes to a WebSocket.
    pub fn as_websocket(&self) -> &[u8] {
        &self.0.bytes[usize::from(self.0.header_start)..]
    }

    /// What it holds.
    ///
    /// # Panics
    /// Never: text came as text.
    pub fn payload(&self) -> Payload<'_> {
        let payload = &self.0.bytes[usize::from(self.0.payload_start)..];
        match self.0.bytes.get(usize::from(self.0.header_start)) {
            Some(&FINAL_TEXT) if self.0.payload_start > 0 => {
                Payload::Text(std::str::from_utf8(payload).expect("text came as text"))
            }
            Some(_) if self.0.payload_start > 0 => Payload::Binary(payload),
            _ => Payload::Ready,
        }
    }

    /// The payload, if it is text; else nothing.
    pub fn text(&self) -> &str {
        match self.payload() {
            Payload::Text(text) => text,
            Payload::Binary(_) | Payload::Ready => "",
        }
    }

    /// The text as receivers of one kind get it, which `key` names: a protocol that writes it otherwise, or a transport that wraps it. `encode`
    /// makes it once, for the first receiver, and all receivers of that kind share it.
    ///
    /// # Panics
    /// Never: `encode` is called at most once.
    pub fn encoded(&self, key: &'static str, encode: impl FnOnce(&str) -> Arc<str>) -> Arc<str> {
        let mut place = &self.0.encodings;
        let mut encode = Some(encode);
        loop {
            // If two receivers of different kinds come at once, the one that comes second goes on to the next place.
            let encoding = place.get_or_init(|| {
                let text = encode.take().expect("it is called once")(self.text());
                Box::new(Encoding { key, text, next: OnceLock::new() })
            });
            if encoding.key == key {
                return encoding.text.clone();
            }
            place = &encoding.next;
        }
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
    fn each_encoding_is_made_once_and_kept_apart() {
        let frame = Frame::json(&serde_json::json!({"a": 1}));
        let quoted = frame.encoded("quoted", |text| format!("{text:?}").into());
        let escaped = frame.encoded("escaped", |text| text.into());
        let third = frame.encoded("third", |_| "3".into());
        assert_eq!((&*quoted, &*escaped, &*third), (r#""{\"a\":1}""#, r#"{"a":1}"#, "3"));
        for (key, made) in [("quoted", quoted), ("escaped", escaped), ("third", third)] {
            let again = frame.clone().encoded(key, |_| panic!("made once"));
            assert!(Arc::ptr_eq(&made, &again), "{key}: shared by all receivers");
        }
    }

    #[test]
    fn encodings_that_are_made_at_once_do_not_mix() {
        let keys = ["a", "b", "c", "d"];
        for _ in 0..200 {
            let frame = Frame::from_text("x");
            std::thread::scope(|scope| {
                for key in keys {
                    let frame = &frame;
                    scope.spawn(move || {
                        assert_eq!(&*frame.encoded(key, |text| format!("{key}{text}").into()), format!("{key}x"));
                    });
                }
            });
        }
    }

    #[test]
    fn text_and_binary_are_told_apart() {
        let bytes = [0, 0xff, 7];
        let binary = Frame::from_binary(&bytes);
        assert_eq!((binary.payload(), binary.text()), (Payload::Binary(&bytes[..]), ""));
        assert_eq!(binary.as_websocket(), [0x82, 3, 0, 0xff, 7]);
        assert_eq!(Frame::from_text("é").payload(), Payload::Text("é"));
        assert_eq!(Frame::from_text("").as_websocket(), [0x81, 0]);
        assert_eq!(Frame::ready(&[0x89, 0]).payload(), Payload::Ready);
        // A 101's head, which begins with none of the opcodes.
        assert_eq!(Frame::ready(b"HTTP/1.1 101").payload(), Payload::Ready);
    }

    #[test]
    fn what_came_ready_is_written_as_it_is() {
        let pong = Frame::ready(&[0x8a, 1, 7]);
        assert_eq!((pong.as_websocket(), pong.len(), pong.text()), (&[0x8a, 1, 7][..], 3, ""));
    }
}
