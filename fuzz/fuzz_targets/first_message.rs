//! A first message from a stranger: never a panic, and nobody is in before a verdict.

#![no_main]

use libfuzzer_sys::fuzz_target;
use usher_auth::carriers::parse_first_message;

fuzz_target!(|text: &str| {
    if let Ok(message) = parse_first_message(text) {
        // Whatever came, its form is decided and its text is not shown.
        assert!(!format!("{message:?}").is_empty());
    }
});
