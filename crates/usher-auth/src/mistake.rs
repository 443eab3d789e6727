//! What clients write wrongly over SockJS, and what of it may be shown to an operator.

use std::fmt;

use serde_json::Value;

use crate::close_code::CloseCause;

/// Members whose names a log may show: any other name may be a secret in the wrong place.
const KNOWN_MEMBERS: [&str; 8] = ["auth", "type", "token", "id", "room", "data", "throttle", "subscribe"];
/// How many members or items a shape shows.
const SHOWN: usize = 4;

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
