//! Frames a client sends.

use std::borrow::Cow;
use std::fmt;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::carriers::{FirstMessage, parse_first_message};
use crate::room::RoomName;

/// Deepest nesting of a message. Published data goes to other clients as it came, so what would blow their stack is refused here.
pub const MAX_JSON_DEPTH: usize = 64;
/// Longest `id`, in bytes.
const MAX_FRAME_ID_BYTES: usize = 128;

/// The `id` a client gives a frame, to be echoed in the answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FrameId {
    /// An integer within what 64 bits hold, with or without a sign. Others would come back rounded, or written otherwise.
    Number(serde_json::Number),
    /// A text of at most 128 bytes.
    Text(String),
}

impl Eq for FrameId {}

impl FrameId {
    /// Whether it can be echoed exactly as it came, and is short enough to be.
    pub(crate) fn is_echoed(&self) -> bool {
        match self {
            Self::Number(number) => number.is_i64() || number.is_u64(),
            Self::Text(text) => text.len() <= MAX_FRAME_ID_BYTES,
        }
    }
}

/// What a client publishes: JSON that was checked and is passed on as it came.
pub type PublishData = Box<RawValue>;

/// A frame from an authenticated client.
#[derive(Clone, Debug)]
pub enum ClientMessage {
    /// A new credential.
    Auth(FirstMessage),
    /// Enter a room.
    Join {
        /// Which.
        room: RoomName,
        /// To be echoed.
        id: Option<FrameId>,
    },
    /// Leave a room.
    Leave {
        /// Which.
        room: RoomName,
        /// To be echoed.
        id: Option<FrameId>,
    },
    /// Tell the others in a room that one is typing.
    Typing {
        /// Which.
        room: RoomName,
        /// To be echoed in an error.
        id: Option<FrameId>,
    },
    /// Send to the others in a room.
    Publish {
        /// Which.
        room: RoomName,
        /// What.
        data: PublishData,
        /// To be echoed.
        id: Option<FrameId>,
    },
    /// Ask for a `pong`.
    Ping {
        /// To be echoed.
        id: Option<FrameId>,
    },
}

/// What is wrong with a frame. The connection goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidFrame {
    /// For people: "Invalid JSON", or what to send instead.
    pub error: Cow<'static, str>,
    /// Stable.
    pub code: &'static str,
    /// To be echoed, if it could be read.
    pub id: Option<FrameId>,
}

impl ClientMessage {
    /// Reads one text frame. Unknown fields are ignored, except in `auth`.
    pub fn parse(text: &str) -> Result<Self, InvalidFrame> {
        if nests_deeper_than(text, MAX_JSON_DEPTH) {
            return Err(InvalidFrame::new("JSON nested too deeply", "too_deep"));
        }
        let fields: Fields<'_> = serde_json::from_str(text).map_err(|error| match error.classify() {
            // A JSON value of another type than an object, or a member given twice.
            serde_json::error::Category::Data => {
                InvalidFrame::new("a message must be a JSON object that gives each member once", "invalid_message")
            }
            _ => InvalidFrame::new("Invalid JSON", "invalid_json"),
        })?;
        let id = fields.id()?;
        let message = fields.message(text, id.clone());
        message.map_err(|error| InvalidFrame { id, ..error })
    }
}

impl InvalidFrame {
    fn new(error: impl Into<Cow<'static, str>>, code: &'static str) -> Self {
        Self { error: error.into(), code, id: None }
    }

    fn field(name: &str, expected: &str) -> Self {
        Self::new(format!("field `{name}` must be {expected}"), "invalid_field")
    }
}

/// The members we know, each kept as it came until its type is asked for.
#[derive(Default)]
struct Fields<'a> {
    kind: Option<&'a RawValue>,
    id: Option<&'a RawValue>,
    room: Option<&'a RawValue>,
    board_id: Option<&'a RawValue>,
    data: Option<&'a RawValue>,
}

impl Fields<'_> {
    fn message(&self, text: &str, id: Option<FrameId>) -> Result<ClientMessage, InvalidFrame> {
        let kind = match self.kind {
            Some(kind) => string(kind).ok_or_else(|| InvalidFrame::field("type", "a string"))?,
            None => return Err(InvalidFrame::new("field `type` is missing", "invalid_field")),
        };
        match kind.as_ref() {
            "join" => Ok(ClientMessage::Join { room: self.room()?, id }),
            "leave" => Ok(ClientMessage::Leave { room: self.room()?, id }),
            "typing" => Ok(ClientMessage::Typing { room: self.room()?, id }),
            "publish" => {
                let data = self.data.ok_or_else(|| InvalidFrame::field("data", "present"))?;
                Ok(ClientMessage::Publish { room: self.room()?, data: data.to_owned(), id })
            }
            "ping" => Ok(ClientMessage::Ping { id }),
            "auth" => parse_first_message(text)
                .map(ClientMessage::Auth)
                .map_err(|error| InvalidFrame::new(error.to_string(), "invalid_field")),
            _ => Err(InvalidFrame::new(
                "unknown message type: use auth, join, leave, typing, publish or ping",
                "unknown_type",
            )),
        }
    }

    fn id(&self) -> Result<Option<FrameId>, InvalidFrame> {
        let wrong = || InvalidFrame::field("id", "an integer of 64 bits or a string of at most 128 bytes");
        match self.id {
            None => Ok(None),
            Some(raw) => match serde_json::from_str::<FrameId>(raw.get()) {
                Ok(id) if id.is_echoed() => Ok(Some(id)),
                Ok(_) | Err(_) => Err(wrong()),
            },
        }
    }

    fn room(&self) -> Result<RoomName, InvalidFrame> {
        let (name, raw) = match (self.room, self.board_id) {
            (Some(raw), None) => ("room", raw),
            (None, Some(raw)) => ("boardId", raw),
            (Some(_), Some(_)) => return Err(InvalidFrame::new("give `room` or `boardId`, not both", "invalid_field")),
            (None, None) => return Err(InvalidFrame::new("field `room` is missing", "invalid_field")),
        };
        let text = string(raw).ok_or_else(|| InvalidFrame::field(name, "a string"))?;
        RoomName::canonical(&text)
            .map_err(|error| InvalidFrame::new(format!("field `{name}`: {error}"), "invalid_room"))
    }
}

fn string(raw: &RawValue) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    serde_json::from_str::<Text<'_>>(raw.get()).ok().map(|text| text.0)
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;

        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Fields::default();
                while let Some(name) = map.next_key::<Cow<'de, str>>()? {
                    let slot = match name.as_ref() {
                        "type" => &mut fields.kind,
                        "id" => &mut fields.id,
                        "room" => &mut fields.room,
                        "boardId" => &mut fields.board_id,
                        "data" => &mut fields.data,
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            continue;
                        }
                    };
                    // Whoever reads the first and whoever reads the last of two would disagree about what was said.
                    if slot.replace(map.next_value()?).is_some() {
                        return Err(serde::de::Error::custom("a member is given twice"));
                    }
                }
                Ok(fields)
            }
        }

        deserializer.deserialize_map(FieldsVisitor)
    }
}

/// Whether brackets nest deeper than `limit`, in one pass and without recursion.
fn nests_deeper_than(json: &str, limit: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => {
                depth += 1;
                if depth > limit {
                    return true;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn code(text: &str) -> &'static str {
        ClientMessage::parse(text).map_or_else(|error| error.code, |_| "ok")
    }

    #[test]
    fn each_mistake_has_its_answer() {
        for (text, expected) in [
            (r#"{"type":"join","room":"a"}"#, "ok"),
            (r#"{"type":"typing","boardId":"a"}"#, "ok"),
            (r#"{"type":"join","room":"a","unknown":[1,{}]}"#, "ok"),
            (r#"{"type":"publish","room":"a","data":null}"#, "ok"),
            (r#"{"type":"publish","room":"a"}"#, "invalid_field"),
            (r#"{"type":"join"}"#, "invalid_field"),
            (r#"{"type":"join","room":7}"#, "invalid_field"),
            (r#"{"type":"join","room":"a","boardId":"b"}"#, "invalid_field"),
            (r#"{"type":"join","room":""}"#, "invalid_room"),
            (r#"{"type":"join","room":"a","room":"b"}"#, "invalid_message"),
            (r#"{"type":"ping","id":{}}"#, "invalid_field"),
            (r#"{"type":7}"#, "invalid_field"),
            (r#"{"type":"fly"}"#, "unknown_type"),
            (r#"{"room":"a"}"#, "invalid_field"),
            (r#"{"type":"auth","token":"x","more":1}"#, "invalid_field"),
            ("[]", "invalid_message"),
            ("7", "invalid_message"),
            ("{", "invalid_json"),
            ("", "invalid_json"),
            ("{\"type\":\"ping\"}x", "invalid_json"),
        ] {
            assert_eq!(code(text), expected, "{text}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_without_recursion() {
        let nested = |depth: usize| {
            format!(r#"{{"type":"publish","room":"a","data":{}{}}}"#, "[".repeat(depth), "]".repeat(depth))
        };
        assert_eq!(code(&nested(63)), "ok");
        assert_eq!(code(&nested(64)), "too_deep");
        assert_eq!(code(&nested(30_000)), "too_deep");
        assert_eq!(code(&format!(r#"{{"type":"ping","x":"{}"}}"#, "[".repeat(100))), "ok");
    }

    #[test]
    fn an_id_is_echoed_exactly_or_refused() {
        let parse = |id: &str| ClientMessage::parse(&format!(r#"{{"type":"ping","id":{id}}}"#));
        for exact in ["0", "-1", "9007199254740993", "18446744073709551615", "-9223372036854775808", r#""q1""#] {
            let Ok(ClientMessage::Ping { id: Some(id) }) = parse(exact) else { panic!("{exact} was not taken") };
            assert_eq!(serde_json::to_string(&id).expect("JSON"), exact);
        }
        let long = format!("\"{}\"", "x".repeat(129));
        for other in [
            "18446744073709551616",
            "123456789012345678901234567890",
            "-9223372036854775809",
            "1.5",
            "1e3",
            "-0",
            "null",
            "true",
            &long,
        ] {
            let refused = parse(other).expect_err(other);
            assert_eq!(refused.code, "invalid_field", "{other}");
            assert!(refused.error.contains("`id` must be an integer of 64 bits or a string"), "{}", refused.error);
            // The first message has the same rule.
            let auth = format!(r#"{{"type":"auth","token":"x","id":{other}}}"#);
            let malformed = parse_first_message(&auth).expect_err(other).to_string();
            assert!(malformed.contains("an id is an integer of 64 bits or a string"), "{malformed}");
            assert_eq!(ClientMessage::parse(&auth).expect_err(other).code, "invalid_field", "{other}");
        }
    }

    #[test]
    fn the_id_comes_back_with_the_error() {
        let error = ClientMessage::parse(r#"{"id":"q1","type":"fly"}"#).expect_err("unknown type");
        assert_eq!(error.id, Some(FrameId::Text("q1".into())));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".*") {
            let _ = ClientMessage::parse(&text);
        }
    }
}
