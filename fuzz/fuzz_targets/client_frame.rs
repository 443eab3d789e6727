//! A message from an authenticated client: never a panic, what is published again is JSON, and a credential never goes to the application.

#![no_main]

use libfuzzer_sys::fuzz_target;
use usher_auth::protocol::{Authentication, Meaning, Phase, Protocol as _, Received, UsherV1};
use usher_rooms::RoomMessage;

const OPEN: Phase = Phase { authentication: Authentication::Authenticated, unframed: false };

fuzz_target!(|text: &str| {
    if !matches!(UsherV1.read(Received::Text(text), OPEN).meaning, Meaning::Application) {
        return;
    }
    match RoomMessage::parse(text) {
        Ok(RoomMessage::Publish { room, data, .. }) => {
            assert!(serde_json::from_str::<serde::de::IgnoredAny>(data.get()).is_ok());
            assert!(!room.as_str().is_empty() && room.as_str().len() <= 256);
        }
        Ok(_) => {}
        Err(error) => assert!(!error.code.is_empty()),
    }
    // Whatever the application is, it gets no message that says of itself, once, that it is a credential.
    let message = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text);
    let typed =
        |message: &serde_json::Map<String, serde_json::Value>| message.get("type").is_some_and(|kind| kind == "auth");
    assert!(!message.is_ok_and(|message| typed(&message)) || text.matches("type").count() > 1);
});
