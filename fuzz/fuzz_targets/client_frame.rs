//! A frame from an authenticated client: never a panic, and what is published again is JSON.

#![no_main]

use libfuzzer_sys::fuzz_target;
use usher_auth::wire::ClientMessage;

fuzz_target!(|text: &str| match ClientMessage::parse(text) {
    Ok(ClientMessage::Publish { room, data, .. }) => {
        assert!(serde_json::from_str::<serde::de::IgnoredAny>(data.get()).is_ok());
        assert!(!room.as_str().is_empty() && room.as_str().len() <= 256);
    }
    Ok(_) => {}
    Err(error) => assert!(!error.code.is_empty()),
});
