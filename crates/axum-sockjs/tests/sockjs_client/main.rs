//! sockjs-client, which nobody here wrote, against the services of the example: in Node.js and in a browser.

#![expect(clippy::unwrap_used, reason = "a test fails where it is")]

mod browser;
mod node;

mod outcomes;
#[path = "../../examples/sockjs-test-server/services.rs"]
mod services;
mod world;
