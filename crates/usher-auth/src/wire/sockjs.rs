//! What clients send over SockJS beside `usher.v1`: OctoPrint's `{"auth":"user:key"}`, `throttle` and `subscribe`, and the mistakes
//! people make in writing and wrapping them.

use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::carriers::{Credential, FirstMessage, parse_first_message};
use crate::close_code::CloseCause;

/// Members whose names a log may show: any other name may be a secret in the wrong place.
const KNOWN_MEMBERS: [&str; 8] = ["auth", "type", "token", "id", "room", "data", "throttle", "subscribe"];
/// How many members or items a shape shows.
const SHOWN: usize = 4;

/// A client's message, as far as it is no `usher.v1`.
#[derive(Clone, Debug)]
pub enum SockJsMessage {
    /// A credential.
    Auth(FirstMessage),
    /// OctoPrint's `throttle` or `subscribe`. There is nothing here that they would change.
    Preference,
    /// Something else.
    Other,
}

/// What is wrong with what a client sent over SockJS, in its wrapping or in its `auth`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// Not JSON at all, where an array of strings should be.
    NotJson,
    /// A message that is not JSON.
    TextNotJson,
    /// JSON without the array of strings around it.
    NotWrapped,
    /// An array with items that are no strings.
    ItemsNotStrings,
    /// A SockJS array where the plain object goes.
    Wrapped,
    /// A message that is no object.
    NotAnObject,
    /// `auth` is no text.
    AuthNotText,
    /// `auth` is a text without a colon.
    NoColon,
    /// Members beside `auth`, or a member twice.
    MoreThanAuth,
    /// `{"type":"auth",…}` with other members than it has.
    MalformedAuth,
    /// `throttle` or `subscribe` with something that it cannot be.
    Preference,
    /// Something else before anybody was let in.
    NotAuth,
}

impl Mistake {
    /// Every mistake.
    pub const ALL: [Self; 12] = [
        Self::NotJson,
        Self::TextNotJson,
        Self::NotWrapped,
        Self::ItemsNotStrings,
        Self::Wrapped,
        Self::NotAnObject,
        Self::AuthNotText,
        Self::NoColon,
        Self::MoreThanAuth,
        Self::MalformedAuth,
        Self::Preference,
        Self::NotAuth,
    ];

    /// Stable.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotJson | Self::TextNotJson => "invalid_json",
            Self::NotWrapped => "not_wrapped",
            Self::ItemsNotStrings => "items_not_strings",
            Self::Wrapped => "wrapped",
            Self::NotAnObject => "invalid_message",
            Self::AuthNotText => "auth_not_text",
            Self::NoColon => "auth_without_colon",
            Self::MoreThanAuth => "more_than_auth",
            Self::MalformedAuth => "malformed_credential",
            Self::Preference => "invalid_field",
            Self::NotAuth => "not_authenticated",
        }
    }

    /// Names the mistake and shows the right form; fits a close frame.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NotJson => r#"Invalid JSON: send an array of strings, ["{\"auth\":\"user:key\"}"]"#,
            Self::TextNotJson => r#"Invalid JSON: the message must be {"auth":"user:key"}"#,
            Self::NotWrapped => r#"The array is missing: send an array of strings, ["{\"auth\":\"user:key\"}"]"#,
            Self::ItemsNotStrings => r#"The items must be strings: send ["{\"auth\":\"user:key\"}"]"#,
            Self::Wrapped => r#"No array on the raw endpoint: send {"auth":"user:key"}"#,
            Self::NotAnObject => r#"Not an object: the message must be {"auth":"user:key"}"#,
            Self::AuthNotText => r#"`auth` must be a text: {"auth":"user:key"}"#,
            Self::NoColon => r#"`auth` has no colon: {"auth":"user:key"}"#,
            Self::MoreThanAuth => r#"Nothing else may stand beside `auth`: {"auth":"user:key"}"#,
            Self::MalformedAuth => r#"An auth message has type, token and id: {"type":"auth","token":"…"}"#,
            Self::Preference => r#"Send {"throttle":1} with a number, {"subscribe":{}} with an object"#,
            Self::NotAuth => r#"Not authenticated: send {"auth":"user:key"} first"#,
        }
    }

    /// What the connection is closed with, where it is.
    pub const fn cause(self) -> CloseCause {
        match self {
            Self::NotJson
            | Self::TextNotJson
            | Self::NotWrapped
            | Self::ItemsNotStrings
            | Self::Wrapped
            | Self::NotAnObject => CloseCause::Malformed,
            _ => CloseCause::Unauthorized,
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// Reads one message of a SockJS client. `framed` says whether it came in a SockJS array: on the raw endpoint an array is a mistake of
/// its own.
///
/// # Errors
/// When it is an object of ours or OctoPrint's that is written wrongly, or no object.
pub fn parse_sockjs(text: &str, octoprint: bool, framed: bool) -> Result<SockJsMessage, Mistake> {
    let Members(members) = serde_json::from_str(text).map_err(|error| match error.classify() {
        serde_json::error::Category::Data if !framed && text.trim_start().starts_with('[') => Mistake::Wrapped,
        serde_json::error::Category::Data => Mistake::NotAnObject,
        _ => Mistake::TextNotJson,
    })?;
    let member = |name: &str| members.iter().find(|(key, _)| key == name).map(|(_, value)| *value);
    if let Some(kind) = member("type") {
        if serde_json::from_str::<String>(kind.get()).is_ok_and(|kind| kind != "auth") {
            return Ok(SockJsMessage::Other);
        }
        return parse_first_message(text).map(SockJsMessage::Auth).map_err(|_| Mistake::MalformedAuth);
    }
    let alone = members.len() == 1;
    if let Some(auth) = member("auth") {
        if !alone {
            return Err(Mistake::MoreThanAuth);
        }
        let auth: String = serde_json::from_str(auth.get()).map_err(|_| Mistake::AuthNotText)?;
        if !auth.contains(':') {
            return Err(Mistake::NoColon);
        }
        return Ok(SockJsMessage::Auth(FirstMessage { credential: Credential::classify_user_key(&auth), id: None }));
    }
    if octoprint && let (Some(preference), true) = (member("throttle").or_else(|| member("subscribe")), alone) {
        let is_number = serde_json::from_str::<f64>(preference.get()).is_ok_and(f64::is_finite);
        let is_object = preference.get().starts_with('{');
        let fits = if member("throttle").is_some() { is_number } else { is_object };
        return if fits { Ok(SockJsMessage::Preference) } else { Err(Mistake::Preference) };
    }
    Ok(SockJsMessage::Other)
}

/// An object's members as they came, in order; also those given twice.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;

        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(MembersVisitor)
    }
}

/// What `text` looks like, for the operator's log: kinds of values and names that are known, and nothing of what was sent.
pub fn shape(text: &str) -> String {
    match serde_json::from_str::<Value>(text) {
        Ok(value) => shape_of(&value, 0),
        Err(_) => format!("{} bytes that are not JSON", text.len()),
    }
}

fn shape_of(value: &Value, depth: usize) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "a boolean".to_owned(),
        Value::Number(_) => "a number".to_owned(),
        Value::String(text) if text.contains(':') => "a text with a colon".to_owned(),
        Value::String(_) => "a text without a colon".to_owned(),
        Value::Array(_) | Value::Object(_) if depth > 1 => "…".to_owned(),
        Value::Array(items) => {
            let shown = items.iter().take(SHOWN).map(|item| shape_of(item, depth + 1)).collect();
            format!("[{}]", and_more(shown, items.len()))
        }
        Value::Object(members) => {
            let shown = members.iter().take(SHOWN).map(|(name, value)| {
                let name = if KNOWN_MEMBERS.contains(&name.as_str()) { name } else { "(another name)" };
                format!("{name}: {}", shape_of(value, depth + 1))
            });
            format!("{{{}}}", and_more(shown.collect(), members.len()))
        }
    }
}

fn and_more(mut shown: Vec<String>, count: usize) -> String {
    if count > shown.len() {
        shown.push(format!("and {} more", count - shown.len()));
    }
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::close_code::MAX_REASON_BYTES;

    fn outcome(text: &str) -> &'static str {
        match parse_sockjs(text, true, true) {
            Ok(SockJsMessage::Auth(_)) => "auth",
            Ok(SockJsMessage::Preference) => "preference",
            Ok(SockJsMessage::Other) => "other",
            Err(mistake) => mistake.code(),
        }
    }

    #[test]
    fn each_form_and_each_mistake() {
        for (text, expected) in [
            (r#"{"auth":"alice:usk_x"}"#, "auth"),
            (r#"{"type":"auth","token":"a.b.c"}"#, "auth"),
            (r#"{"throttle":2}"#, "preference"),
            (r#"{"subscribe":{"state":true}}"#, "preference"),
            (r#"{"type":"join","room":"a"}"#, "other"),
            (r#"{"hello":1}"#, "other"),
            (r#"{"type":"\u0061uth","token":"a.b.c"}"#, "auth"),
            (r#"{"type":7}"#, "malformed_credential"),
            ("{}", "other"),
            (r#"{"auth":7}"#, "auth_not_text"),
            (r#"{"auth":null}"#, "auth_not_text"),
            (r#"{"auth":{"user":"a","key":"b"}}"#, "auth_not_text"),
            (r#"{"auth":"key"}"#, "auth_without_colon"),
            (r#"{"auth":"a:b","admin":true}"#, "more_than_auth"),
            (r#"{"auth":"a:b","auth":"c:d"}"#, "more_than_auth"),
            (r#"{"type":"auth","token":7}"#, "malformed_credential"),
            (r#"{"throttle":"fast"}"#, "invalid_field"),
            (r#"{"subscribe":7}"#, "invalid_field"),
            ("[]", "invalid_message"),
            ("\"auth\"", "invalid_message"),
            ("{", "invalid_json"),
            ("", "invalid_json"),
        ] {
            assert_eq!(outcome(text), expected, "{text}");
        }
        assert!(matches!(parse_sockjs(r#"{"throttle":2}"#, false, true), Ok(SockJsMessage::Other)));
        assert_eq!(parse_sockjs(r#"["{}"]"#, true, false).map(|_| ()), Err(Mistake::Wrapped));
    }

    #[test]
    fn every_reason_fits_a_close_frame() {
        for mistake in Mistake::ALL {
            assert!(mistake.reason().len() <= MAX_REASON_BYTES, "{mistake}: {}", mistake.reason().len());
        }
    }

    #[test]
    fn a_shape_shows_kinds_and_never_what_was_sent() {
        let secret = "usk_secret";
        for (text, expected) in [
            (format!(r#"{{"auth":"alice:{secret}"}}"#), "{auth: a text with a colon}"),
            (format!(r#"[{{"auth":"alice:{secret}"}}]"#), "[{auth: a text with a colon}]"),
            (format!(r#"{{"{secret}":1}}"#), "{(another name): a number}"),
            (format!(r#"{{"auth":["{secret}"]}}"#), "{auth: [a text without a colon]}"),
            (format!(r#"{{"auth":{{"a":{{"b":"{secret}"}}}}}}"#), "{auth: {(another name): …}}"),
            ("[1,2,3,4,5,6]".to_owned(), "[a number, a number, a number, a number, and 2 more]"),
            (format!("auth={secret}"), "15 bytes that are not JSON"),
        ] {
            assert_eq!(shape(&text), expected);
            assert!(!shape(&text).contains(secret));
        }
    }
}
