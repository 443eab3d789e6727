//! SockJS frames and client messages as text. Pure: no session, no transport.
//!
//! Source of the rules: the head of the `sockjs/sockjs-protocol` repository, sections on framing and on JSON encoding.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Serialize;
use serde::de::IgnoredAny;

use crate::close::Close;

/// What stands in for half of a surrogate pair, as a JSON escape.
const REPLACEMENT_ESCAPE: &str = "\\ufffd";
/// Length of a `\uXXXX` escape in bytes.
const ESCAPE_BYTES: usize = 6;

/// Most messages in one text of a client. Each costs more than its bytes, so empty ones must be bounded, too.
pub const MAX_MESSAGES: usize = 4096;

/// What the server tells the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// `o`: the session is open.
    Open,
    /// `h`: still here.
    Heartbeat,
    /// `a[…]`: messages. Each is encoded JSON as [`quote`] or [`json`] gives it; without framing each is plain text.
    Messages(Vec<Arc<str>>),
    /// `c[code,"reason"]`: the session is closed.
    Close(Close),
}

impl Frame {
    /// As it stands on the wire, without what a transport puts around it.
    pub fn to_text(&self) -> String {
        match self {
            Self::Open => "o".to_owned(),
            Self::Heartbeat => "h".to_owned(),
            Self::Messages(items) => format!("a[{}]", items.join(",")),
            Self::Close(close) => format!("c[{},{}]", close.code, quote(&close.reason)),
        }
    }
}

/// How a client's messages may be wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrapping {
    /// `xhr_send` and `jsonp_send`: an array of strings.
    Array,
    /// A WebSocket message: an array of strings, or one string; nothing at all means no messages.
    ArrayOrString,
}

/// Why a client's text holds no messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Nothing, where something is needed.
    #[error("no payload")]
    Empty,
    /// Not JSON.
    #[error("broken JSON")]
    BrokenJson,
    /// JSON, but not wrapped as it must be: a bare object, say.
    #[error("not an array of strings")]
    NotWrapped,
    /// An array with something in it that is no string.
    #[error("an array with items that are no strings")]
    NotStrings,
    /// A message longer than allowed, or more than [`MAX_MESSAGES`].
    #[error("a message is too big, or there are too many")]
    TooBig,
}

/// The messages in a client's `text`, each at most `limit` bytes of UTF-8.
///
/// JavaScript strings can hold half of a surrogate pair and Rust's cannot: an escape of such a half becomes U+FFFD.
///
/// # Errors
/// When it holds none, or one that is too big.
pub fn decode(text: &str, wrapping: Wrapping, limit: usize) -> Result<Vec<String>, DecodeError> {
    if text.is_empty() {
        return match wrapping {
            Wrapping::Array => Err(DecodeError::Empty),
            Wrapping::ArrayOrString => Ok(Vec::new()),
        };
    }
    let text = replace_lone_surrogates(text);
    let messages = match serde_json::from_str::<Vec<String>>(&text) {
        Ok(messages) => messages,
        Err(_) => decode_otherwise(&text, wrapping)?,
    };
    let too_big = messages.len() > MAX_MESSAGES || messages.iter().any(|message| message.len() > limit);
    if too_big { Err(DecodeError::TooBig) } else { Ok(messages) }
}

/// What is not an array of strings: one string, or an error that says what it is instead.
fn decode_otherwise(text: &str, wrapping: Wrapping) -> Result<Vec<String>, DecodeError> {
    if wrapping == Wrapping::ArrayOrString
        && let Ok(message) = serde_json::from_str::<String>(text)
    {
        return Ok(vec![message]);
    }
    if serde_json::from_str::<IgnoredAny>(text).is_err() {
        Err(DecodeError::BrokenJson)
    } else if text.trim_start().starts_with('[') {
        Err(DecodeError::NotStrings)
    } else {
        Err(DecodeError::NotWrapped)
    }
}

/// `text` as a JSON string in which nothing stands raw that browsers mangle (see [`needs_escape`]).
#[expect(clippy::missing_panics_doc, reason = "a string is always JSON")]
pub fn quote(text: &str) -> String {
    escape_owned(serde_json::to_string(text).expect("a string is always JSON"))
}

/// `value` as JSON on one line, escaped like [`quote`].
///
/// # Errors
/// When serde cannot serialise it: a map whose keys are no strings, say.
pub fn json(value: &impl Serialize) -> Result<String, serde_json::Error> {
    Ok(escape_owned(serde_json::to_string(value)?))
}

/// Whether a character must be escaped beyond what JSON asks for.
pub fn needs_escape(character: char) -> bool {
    matches!(character,
        '\u{0}'..='\u{1f}'
        | '\u{200c}'..='\u{200f}'
        | '\u{2028}'..='\u{202f}'
        | '\u{2060}'..='\u{206f}'
        | '\u{fff0}'..='\u{ffff}')
}

fn escape_owned(json: String) -> String {
    match escape(&json) {
        Cow::Borrowed(_) => json,
        Cow::Owned(escaped) => escaped,
    }
}

/// `json` on one line, escaped like [`quote`]: for what is JSON already.
///
/// Outside its strings, JSON is ASCII; so a character that needs an escape stands in a string, except for white space that a raw
/// value brought along.
pub fn escape(json: &str) -> Cow<'_, str> {
    if !json.contains(needs_escape) {
        return Cow::Borrowed(json);
    }
    let mut escaped = String::with_capacity(json.len() + ESCAPE_BYTES);
    for character in json.chars() {
        if character < ' ' {
            escaped.push(' ');
        } else if needs_escape(character) {
            escaped.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            escaped.push(character);
        }
    }
    Cow::Owned(escaped)
}

/// A frame as a JavaScript string literal inside a page or a script: `<` is escaped as well, so that no message can end the script
/// that carries it.
pub(crate) fn script_literal(frame: &str) -> String {
    quote(frame).replace('<', "\\u003c")
}

fn replace_lone_surrogates(text: &str) -> Cow<'_, str> {
    let mut mended = String::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(found) = text[at..].find('\\') {
        let start = at + found;
        match escaped_unit(text, start) {
            Some(0xd800..=0xdbff) if matches!(escaped_unit(text, start + ESCAPE_BYTES), Some(0xdc00..=0xdfff)) => {
                at = start + 2 * ESCAPE_BYTES;
            }
            Some(0xd800..=0xdfff) => {
                mended.push_str(&text[copied..start]);
                mended.push_str(REPLACEMENT_ESCAPE);
                at = start + ESCAPE_BYTES;
                copied = at;
            }
            Some(_) => at = start + ESCAPE_BYTES,
            // The character after the backslash is escaped by it, and no start of another escape.
            None => at = start + 1 + text[start + 1..].chars().next().map_or(0, char::len_utf8),
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    mended.push_str(&text[copied..]);
    Cow::Owned(mended)
}

/// The UTF-16 unit of a `\uXXXX` escape at `start`, if there is one.
fn escaped_unit(text: &str, start: usize) -> Option<u16> {
    let digits = text.get(start..start + ESCAPE_BYTES)?.strip_prefix("\\u")?;
    let all_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if all_hex { u16::from_str_radix(digits, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: usize = 1024;

    fn websocket(text: &str) -> Result<Vec<String>, DecodeError> {
        decode(text, Wrapping::ArrayOrString, LIMIT)
    }

    fn xhr_send(text: &str) -> Result<Vec<String>, DecodeError> {
        decode(text, Wrapping::Array, LIMIT)
    }

    #[test]
    fn frames_as_text() {
        assert_eq!(Frame::Open.to_text(), "o");
        assert_eq!(Frame::Heartbeat.to_text(), "h");
        assert_eq!(Frame::Messages(vec![quote("a").into(), quote("b\n").into()]).to_text(), r#"a["a","b\n"]"#);
        assert_eq!(Frame::Close(Close::GO_AWAY).to_text(), r#"c[3000,"Go away!"]"#);
        assert_eq!(Frame::Close(Close::new(4001, "a \"b\"")).to_text(), r#"c[4001,"a \"b\""]"#);
    }

    #[test]
    fn websocket_text_is_an_array_or_one_string_and_emptiness_is_ignored() {
        assert_eq!(websocket(r#"["a","b"]"#), Ok(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(websocket(r#""a""#), Ok(vec!["a".to_owned()]));
        assert_eq!(websocket(""), Ok(vec![]));
        assert_eq!(websocket("[]"), Ok(vec![]));
        assert_eq!(websocket(r#"{"auth":"x"}"#), Err(DecodeError::NotWrapped));
        assert_eq!(websocket("12"), Err(DecodeError::NotWrapped));
        assert_eq!(websocket(r#"["a"#), Err(DecodeError::BrokenJson));
        assert_eq!(websocket(r#"["a",{"b":1}]"#), Err(DecodeError::NotStrings));
    }

    #[test]
    fn xhr_send_takes_an_array_alone() {
        assert_eq!(xhr_send("[]"), Ok(vec![]));
        assert_eq!(xhr_send(""), Err(DecodeError::Empty));
        assert_eq!(xhr_send(r#""a""#), Err(DecodeError::NotWrapped));
        assert_eq!(xhr_send("[\"a"), Err(DecodeError::BrokenJson));
    }

    #[test]
    fn a_message_over_the_limit_is_too_big() {
        assert!(websocket(&format!("[\"{}\"]", "x".repeat(LIMIT))).is_ok());
        assert_eq!(websocket(&format!("[\"{}\"]", "x".repeat(LIMIT + 1))), Err(DecodeError::TooBig));
        let many = |count| websocket(&format!("[{}]", vec!["\"\""; count].join(",")));
        assert_eq!(many(MAX_MESSAGES).map(|messages| messages.len()), Ok(MAX_MESSAGES));
        assert_eq!(many(MAX_MESSAGES + 1), Err(DecodeError::TooBig));
    }

    #[test]
    fn lone_surrogates_are_replaced_and_pairs_are_not() {
        assert_eq!(websocket(r#"["\ud83d\ude00"]"#), Ok(vec!["\u{1f600}".to_owned()]));
        assert_eq!(websocket(r#"["\ud83d!"]"#), Ok(vec!["\u{fffd}!".to_owned()]));
        assert_eq!(websocket(r#"["\uDE00\uD83D"]"#), Ok(vec!["\u{fffd}\u{fffd}".to_owned()]));
        assert_eq!(websocket(r#"["\\ud83d"]"#), Ok(vec!["\\ud83d".to_owned()]), "the backslash itself was escaped");
        assert_eq!(websocket(r#""\ud83d\ud83d\ude00""#), Ok(vec!["\u{fffd}\u{1f600}".to_owned()]));
        assert_eq!(websocket(r#"["\ud83"#), Err(DecodeError::BrokenJson));
        assert_eq!(websocket("[\"\\é"), Err(DecodeError::BrokenJson));
    }

    #[test]
    fn escapes_are_lower_case_and_cover_the_ranges() {
        assert_eq!(quote("\u{0}\u{1f}\u{200c}\u{2028}\u{206f}\u{ffff}"), r#""\u0000\u001f\u200c\u2028\u206f\uffff""#);
        assert_eq!(quote("é\u{200b}\u{1f600}"), "\"é\u{200b}\u{1f600}\"", "what needs no escape stands raw");
    }

    #[test]
    fn raw_json_stays_json_on_one_line() {
        let value = serde_json::value::RawValue::from_string("{ \"a\":\n\t\"\u{2028}\" }".to_owned()).unwrap();
        assert_eq!(json(&value).unwrap(), "{ \"a\":  \"\\u2028\" }");
    }

    #[test]
    fn no_message_can_end_the_script_that_carries_it() {
        assert!(!script_literal(r#"a["</script>"]"#).contains('<'));
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_itself(messages in proptest::collection::vec(any::<String>(), 0..8)) {
            let text = Frame::Messages(messages.iter().map(|message| quote(message).into()).collect()).to_text();
            let decoded = decode(text.strip_prefix('a').unwrap(), Wrapping::Array, usize::MAX);
            prop_assert_eq!(decoded, Ok(messages));
        }

        #[test]
        fn the_escape_ranges_never_stand_raw(message in proptest::collection::vec(
            prop_oneof![any::<char>(), (0x2000_u32..0x2070).prop_map(|code| char::from_u32(code).unwrap()), Just('\u{fff5}')],
            0..64,
        )) {
            let message: String = message.into_iter().collect();
            prop_assert!(!quote(&message).contains(needs_escape));
            prop_assert!(!script_literal(&quote(&message)).contains(needs_escape));
        }

        #[test]
        fn decoding_anything_does_not_panic(text in any::<String>(), units in proptest::collection::vec(any::<u16>(), 0..4)) {
            let escapes: String = units.iter().map(|unit| format!("\\u{unit:04x}")).collect();
            let _ = websocket(&text);
            let decoded = websocket(&format!("[\"{escapes}\"]"));
            prop_assert_eq!(decoded, Ok(vec![String::from_utf16_lossy(&units)]));
        }
    }
}
