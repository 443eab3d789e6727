//! The credential as the first data frame: `{"type":"auth","token":"…"}`, and nothing else in it.

use serde::{Deserialize, Deserializer};

use super::Credential;
use crate::wire::FrameId;

/// A first message that asks to be let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstMessage {
    /// Not verified yet.
    pub credential: Credential,
    /// To be echoed in the answer.
    pub id: Option<FrameId>,
}

/// Why a text is no `auth` message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFirstMessage {
    /// Not an object with `"type":"auth"`.
    #[error("the first message was not an auth message")]
    NotAuth,
    /// `auth`, but not with exactly the fields it has.
    #[error(
        "an auth message has the fields type, token and id, and no others; an id is an integer of 64 bits or a string of at most 128 bytes"
    )]
    Malformed,
}

#[derive(Deserialize)]
struct Typed<'a> {
    #[serde(rename = "type", borrow)]
    kind: std::borrow::Cow<'a, str>,
}

/// Unknown fields are refused on what decides about access (req O2).
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Auth<'a> {
    #[serde(rename = "type")]
    _kind: serde::de::IgnoredAny,
    #[serde(borrow)]
    token: std::borrow::Cow<'a, str>,
    /// Given as `null` it is not left out: then it is no id.
    #[serde(default, deserialize_with = "given")]
    id: Option<FrameId>,
}

fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<FrameId>, D::Error> {
    FrameId::deserialize(deserializer).map(Some)
}

/// Reads the first message of a connection. The caller has bounded its length.
pub fn parse_first_message(text: &str) -> Result<FirstMessage, InvalidFirstMessage> {
    let is_auth = serde_json::from_str::<Typed<'_>>(text).is_ok_and(|typed| typed.kind == "auth");
    if !is_auth {
        return Err(InvalidFirstMessage::NotAuth);
    }
    let auth: Auth<'_> = serde_json::from_str(text).map_err(|_| InvalidFirstMessage::Malformed)?;
    if auth.id.as_ref().is_some_and(|id| !id.is_echoed()) {
        return Err(InvalidFirstMessage::Malformed);
    }
    Ok(FirstMessage { credential: Credential::classify(&auth.token), id: auth.id })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_exact_auth_message() {
        // req E5, O2
        assert!(parse_first_message(r#"{"type":"auth","token":"a.b.c"}"#).is_ok());
        assert!(parse_first_message(r#"{"token":"a.b.c","id":7,"type":"auth"}"#).is_ok_and(|m| m.id.is_some()));
        for not_auth in [
            "",
            "{",
            "null",
            "[]",
            "\"auth\"",
            "{}",
            r#"{"type":"ping"}"#,
            r#"{"type":1}"#,
            r#"{"type":"auth","type":"auth","token":"x"}"#,
        ] {
            assert_eq!(parse_first_message(not_auth), Err(InvalidFirstMessage::NotAuth), "{not_auth}");
        }
        for malformed in [
            r#"{"type":"auth"}"#,
            r#"{"type":"auth","token":7}"#,
            r#"{"type":"auth","token":"x","token":"y"}"#,
            r#"{"type":"auth","token":"x","admin":true}"#,
            r#"{"type":"auth","token":"x","id":{}}"#,
        ] {
            assert_eq!(parse_first_message(malformed), Err(InvalidFirstMessage::Malformed), "{malformed}");
        }
    }
}
