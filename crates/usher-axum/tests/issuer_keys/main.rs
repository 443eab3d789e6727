//! Where issuers' keys come from, through the verifier and real HTTP: fetched once for all who ask, picked up after a rotation,
//! believed within bounds, and never fetched from anywhere that was not configured.
//!
//! The issuer is a server on port 0 that does as it is told; time is moved by hand.

#![expect(clippy::unwrap_used, reason = "a test fails where it is")]

mod bounds;
mod discovery;
mod logging;
mod outage;
mod rotation;
mod seen_tokens;
mod single_flight;
mod sources;
mod tls;
mod tokens;

mod canary;
mod clock;
mod idp;
mod log;
mod world;
