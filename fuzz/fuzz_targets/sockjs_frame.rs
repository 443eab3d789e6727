//! A client's text in `axum_sockjs`: never a panic, within the bounds, and what it says comes back as it was.

#![no_main]

use axum_sockjs::codec::{DecodeError, Frame, MAX_MESSAGES, Wrapping, decode, needs_escape, quote};
use libfuzzer_sys::fuzz_target;

/// Bytes of a message. Small, so that it is often met.
const LIMIT: usize = 32;

fuzz_target!(|text: &str| {
    for wrapping in [Wrapping::Array, Wrapping::ArrayOrString] {
        match decode(text, wrapping, LIMIT) {
            Ok(messages) => {
                assert!(messages.len() <= MAX_MESSAGES);
                assert!(messages.iter().all(|message| message.len() <= LIMIT));
                comes_back(messages, wrapping);
            }
            Err(DecodeError::TooBig) => {
                let unlimited = decode(text, wrapping, usize::MAX);
                let is_big = |messages: Vec<String>| messages.iter().any(|message| message.len() > LIMIT);
                assert!(unlimited.map_or_else(|error| error == DecodeError::TooBig, is_big));
            }
            Err(DecodeError::Empty) => assert!(text.is_empty() && wrapping == Wrapping::Array),
            // It is not the bound that is broken.
            Err(error) => assert_eq!(decode(text, wrapping, usize::MAX), Err(error)),
        }
    }
    if let Ok(messages) = decode(text, Wrapping::Array, LIMIT) {
        assert_eq!(decode(text, Wrapping::ArrayOrString, LIMIT), Ok(messages), "an array is an array either way");
    }
    let quoted = quote(text);
    assert!(!quoted.contains(needs_escape));
    assert_eq!(serde_json::from_str::<String>(&quoted).expect("a JSON string"), text);
    assert_eq!(decode(&quoted, Wrapping::ArrayOrString, usize::MAX), Ok(vec![text.to_owned()]));
});

/// As an echo would send them, and a client send them again.
fn comes_back(messages: Vec<String>, wrapping: Wrapping) {
    let frame = Frame::Messages(messages.iter().map(|message| quote(message).into()).collect()).to_text();
    assert!(!frame.contains(needs_escape));
    let array = frame.strip_prefix('a').expect("a frame of messages");
    assert_eq!(serde_json::from_str::<Vec<String>>(array).expect("a JSON array"), messages);
    assert_eq!(decode(array, wrapping, LIMIT), Ok(messages));
}
