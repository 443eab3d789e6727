//! Tokens through the public API of `usher_auth::jwt`: what is taken, what is refused and for which reason.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail where it stands, as the test may")]

mod claims;
mod forms;
mod issuers;
mod kinds;
mod leaks;
mod properties;
mod public_keys;
mod secrets;
mod session_keys;
mod signatures;
mod support;
mod wycheproof;
