//! JSON read strictly: an object at the top, no member twice in one object, and bounded nesting.
//!
//! Two readers of one token must not see different claims: RFC 7515 §4 and RFC 7519 §4 want unique names, and a reader that
//! takes the last of two lets an attacker show one value to a filter and another to us.

use std::cell::Cell;
use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Deepest nesting of objects and arrays that is read, the outermost object being the first level (req F16).
pub const MAX_JSON_DEPTH: usize = 16;

/// Why a text was not taken as a JSON object. It repeats nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StrictJsonError {
    /// Not JSON, not UTF-8, a number out of range, or something after the end.
    #[error("not valid JSON")]
    Syntax,
    /// JSON, but no object.
    #[error("not a JSON object")]
    NotAnObject,
    /// A name occurs twice in one object, at whatever depth.
    #[error("a member occurs twice in one JSON object")]
    DuplicateMember,
    /// More levels than [`MAX_JSON_DEPTH`].
    #[error("JSON nested deeper than {MAX_JSON_DEPTH} levels")]
    TooDeep,
}

/// Reads `bytes` as one JSON object.
pub(super) fn parse_object(bytes: &[u8]) -> Result<Map<String, Value>, StrictJsonError> {
    let reason = Cell::new(StrictJsonError::Syntax);
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = StrictValue { depth: 0, reason: &reason }.deserialize(&mut deserializer).map_err(|_| reason.get())?;
    deserializer.end().map_err(|_| StrictJsonError::Syntax)?;
    match value {
        Value::Object(members) => Ok(members),
        _ => Err(StrictJsonError::NotAnObject),
    }
}

/// Reads one value; `reason` carries out what serde's own error could only say as text.
#[derive(Clone, Copy)]
struct StrictValue<'a> {
    depth: usize,
    reason: &'a Cell<StrictJsonError>,
}

impl StrictValue<'_> {
    fn fail<E: de::Error>(&self, reason: StrictJsonError) -> E {
        self.reason.set(reason);
        E::custom("refused")
    }

    fn inner<E: de::Error>(self) -> Result<Self, E> {
        if self.depth == MAX_JSON_DEPTH {
            return Err(self.fail(StrictJsonError::TooDeep));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for StrictValue<'_> {
    type Value = Value;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for StrictValue<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut array = Vec::new();
        while let Some(element) = elements.next_element_seed(inner)? {
            array.push(element);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if object.contains_key(&name) {
                return Err(self.fail(StrictJsonError::DuplicateMember));
            }
            object.insert(name, members.next_value_seed(inner)?);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(levels: usize) -> String {
        format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels))
    }

    #[test]
    fn what_is_well_formed_is_read_as_serde_json_reads_it() {
        let text = r#" {"a":[1,-2,3.5,true,null,"\u00e4"],"b":{"a":{}}, "":[]} "#;
        assert_eq!(Value::Object(parse_object(text.as_bytes()).unwrap()), serde_json::from_str::<Value>(text).unwrap());
    }

    #[test]
    fn members_are_unique_at_every_depth() {
        // req F7
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"alg":"ES256","kid":"1","alg":"HS256"}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"x":{"b":[{"c":1,"c":2}]}}"#,
        ] {
            assert_eq!(parse_object(text.as_bytes()), Err(StrictJsonError::DuplicateMember), "{text}");
        }
        assert!(parse_object(br#"{"a":{"a":1},"b":{"a":1}}"#).is_ok());
    }

    #[test]
    fn nesting_is_bounded() {
        // req F16
        assert!(parse_object(nested(MAX_JSON_DEPTH).as_bytes()).is_ok());
        assert_eq!(parse_object(nested(MAX_JSON_DEPTH + 1).as_bytes()), Err(StrictJsonError::TooDeep));
        assert_eq!(parse_object(nested(100_000).as_bytes()), Err(StrictJsonError::TooDeep));
        let array = format!("{{\"a\":{}{}}}", "[".repeat(16), "]".repeat(16));
        assert_eq!(parse_object(array.as_bytes()), Err(StrictJsonError::TooDeep));
    }

    #[test]
    fn what_is_not_an_object_is_refused() {
        let syntax: [&[u8]; 10] = [
            b"",
            b"{",
            b"{}x",
            b"{}{}",
            b"{\"a\":NaN}",
            b"{\"a\":1e999}",
            b"{\"a\":\"\xff\"}",
            b"{\"a\":\"\\ud800\"}",
            b"\xef\xbb\xbf{}",
            b"{'a':1}",
        ];
        for text in syntax {
            assert_eq!(parse_object(text), Err(StrictJsonError::Syntax), "{text:?}");
        }
        for text in ["[]", "1", "\"{}\"", "null", "true"] {
            assert_eq!(parse_object(text.as_bytes()), Err(StrictJsonError::NotAnObject), "{text}");
        }
    }
}
