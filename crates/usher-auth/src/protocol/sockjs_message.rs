//! What clients send over SockJS beside `usher.v1`: OctoPrint's `{"auth":"user:key"}`, `throttle` and `subscribe`, and the mistakes
//! people make in writing and wrapping them.

use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::carriers::{FirstMessage, parse_first_message};
use crate::credential::Credential;
use crate::mistake::Mistake;

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
