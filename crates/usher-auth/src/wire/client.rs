//! Messages that a client sends: what all of them have in common.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

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

impl InvalidFrame {
    /// `error` for people, `code` for programs.
    pub fn new(error: impl Into<Cow<'static, str>>, code: &'static str) -> Self {
        Self { error: error.into(), code, id: None }
    }

    /// A member that is not what it must be.
    pub fn field(name: &str, expected: &str) -> Self {
        Self::new(format!("field `{name}` must be {expected}"), "invalid_field")
    }
}

/// A message of `usher.v1`: its `type`, its `id`, and those members that its reader has a name for, each as it came.
#[derive(Clone, Debug)]
pub struct Envelope<'a, const N: usize> {
    /// `type`.
    pub kind: Cow<'a, str>,
    /// `id`, to be echoed.
    pub id: Option<FrameId>,
    /// The values of the members that were asked for, in the order of their names.
    pub members: [Option<&'a RawValue>; N],
}

impl<'a, const N: usize> Envelope<'a, N> {
    /// Reads a text, with those of its members that are called one of `names`. Others are passed over.
    ///
    /// # Errors
    /// If it is not JSON, nests more than [`MAX_JSON_DEPTH`] deep, is no object, has no `type`, or has one of its own or of the named members
    /// twice. The error has the `id`, if that could be read.
    pub fn parse(text: &'a str, names: [&str; N]) -> Result<Self, InvalidFrame> {
        if nests_deeper_than(text, MAX_JSON_DEPTH) {
            return Err(InvalidFrame::new("JSON nested too deeply", "too_deep"));
        }
        let mut json = serde_json::Deserializer::from_str(text);
        let members = Members { names }.deserialize(&mut json).and_then(|members| json.end().map(|()| members));
        let Found { kind, id, members } = members.map_err(|error| match error.classify() {
            // A JSON value of another type than an object, or a member given twice.
            serde_json::error::Category::Data => {
                InvalidFrame::new("a message must be a JSON object that gives each member once", "invalid_message")
            }
            _ => InvalidFrame::new("Invalid JSON", "invalid_json"),
        })?;
        let id = id.map(read_id).transpose()?;
        let kind = match kind {
            Some(kind) => string(kind).ok_or_else(|| InvalidFrame::field("type", "a string")),
            None => Err(InvalidFrame::new("field `type` is missing", "invalid_field")),
        };
        match kind {
            Ok(kind) => Ok(Self { kind, id, members }),
            Err(invalid) => Err(InvalidFrame { id, ..invalid }),
        }
    }
}

fn read_id(raw: &RawValue) -> Result<FrameId, InvalidFrame> {
    match serde_json::from_str::<FrameId>(raw.get()) {
        Ok(id) if id.is_echoed() => Ok(id),
        Ok(_) | Err(_) => Err(InvalidFrame::field("id", "an integer of 64 bits or a string of at most 128 bytes")),
    }
}

/// A member's value, if it is a string.
pub fn string(raw: &RawValue) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    serde_json::from_str::<Text<'_>>(raw.get()).ok().map(|text| text.0)
}

struct Found<'a, const N: usize> {
    kind: Option<&'a RawValue>,
    id: Option<&'a RawValue>,
    members: [Option<&'a RawValue>; N],
}

/// Reads an object of which members are called so.
struct Members<'n, const N: usize> {
    names: [&'n str; N],
}

impl<'de, const N: usize> DeserializeSeed<'de> for Members<'_, N> {
    type Value = Found<'de, N>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, const N: usize> Visitor<'de> for Members<'_, N> {
    type Value = Found<'de, N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = Found { kind: None, id: None, members: [None; N] };
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            let slot = match name.as_ref() {
                "type" => &mut found.kind,
                "id" => &mut found.id,
                other => match self.names.iter().position(|name| *name == other) {
                    Some(at) => &mut found.members[at],
                    None => {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    }
                },
            };
            // A reader that takes the first and one that takes the last of two would disagree about what was said.
            if slot.replace(map.next_value()?).is_some() {
                return Err(serde::de::Error::custom("a member is given twice"));
            }
        }
        Ok(found)
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
    use crate::carriers::parse_first_message;

    fn parse(text: &str) -> Result<Envelope<'_, 1>, InvalidFrame> {
        Envelope::parse(text, ["data"])
    }

    #[test]
    fn each_mistake_has_its_answer() {
        for (text, expected) in [
            (r#"{"type":"join"}"#, "ok"),
            (r#"{"type":"join","unknown":[1,{}],"unknown":2}"#, "ok"),
            (r#"{"type":"publish","data":null}"#, "ok"),
            (r#"{"type":"publish","data":1,"data":1}"#, "invalid_message"),
            (r#"{"type":"join","type":"join"}"#, "invalid_message"),
            (r#"{"type":"ping","id":{}}"#, "invalid_field"),
            (r#"{"type":7}"#, "invalid_field"),
            (r#"{"room":"a"}"#, "invalid_field"),
            ("[]", "invalid_message"),
            ("7", "invalid_message"),
            ("{", "invalid_json"),
            ("", "invalid_json"),
            ("{\"type\":\"ping\"}x", "invalid_json"),
        ] {
            assert_eq!(parse(text).map_or_else(|error| error.code, |_| "ok"), expected, "{text}");
        }
        let envelope = parse(r#"{"type":"a\u0062","data":[1, 2]}"#).expect("it is good");
        assert_eq!((envelope.kind.as_ref(), envelope.members[0].map(RawValue::get)), ("ab", Some("[1, 2]")));
    }

    #[test]
    fn deep_nesting_is_refused_without_recursion() {
        let code = |depth: usize| {
            let text = format!(r#"{{"type":"publish","data":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
            parse(&text).map_or_else(|error| error.code, |_| "ok")
        };
        assert_eq!((code(63), code(64), code(30_000)), ("ok", "too_deep", "too_deep"));
        assert!(parse(&format!(r#"{{"type":"ping","x":"{}"}}"#, "[".repeat(100))).is_ok());
    }

    #[test]
    fn an_id_is_echoed_exactly_or_refused() {
        let text = |id: &str| format!(r#"{{"type":"ping","id":{id}}}"#);
        for exact in ["0", "-1", "9007199254740993", "18446744073709551615", "-9223372036854775808", r#""q1""#] {
            let text = text(exact);
            let id = parse(&text).expect(exact).id.expect("it has one");
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
            let refused = parse(&text(other)).expect_err(other);
            assert_eq!(refused.code, "invalid_field", "{other}");
            assert!(refused.error.contains("`id` must be an integer of 64 bits or a string"), "{}", refused.error);
            // The first message has the same rule.
            let auth = format!(r#"{{"type":"auth","token":"x","id":{other}}}"#);
            let malformed = parse_first_message(&auth).expect_err(other).to_string();
            assert!(malformed.contains("an id is an integer of 64 bits or a string"), "{malformed}");
        }
    }

    #[test]
    fn the_id_comes_back_with_the_error() {
        let error = parse(r#"{"id":"q1","type":7}"#).expect_err("no text");
        assert_eq!(error.id, Some(FrameId::Text("q1".into())));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".*") {
            let _ = parse(&text);
        }
    }
}
