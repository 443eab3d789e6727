//! WebSocket authentication: credentials, verification, permits, room policy, wire types, and the connection as a state machine.
//!
//! This crate refuses to know how bytes move: it does no I/O, starts no task, and asks no clock and no random source of its
//! own. Time comes in as [`Now`], randomness as bytes, look-ups as values.

pub mod connection;
pub mod protocol;

pub mod carriers;
pub mod credential;
pub mod origin;
pub mod route;

pub mod api_key;
pub mod jwt;
pub mod permit;
pub mod session;
pub mod session_renewal;
pub mod ticket;
pub mod user;
pub mod verify;

pub mod credential_lifetimes;
pub mod revocation;
pub mod throttle;

pub mod client_address;
pub mod close_code;
pub mod mistake;
pub mod refusal;
pub mod room;
pub mod wire;

pub mod ids;
pub mod record;
pub mod secret;
pub mod time;

#[cfg(feature = "test-util")]
pub mod test_util;

pub use permit::{Permit, Principal};
pub use refusal::Refusal;
pub use time::{Clock, Now, Randomness, UnixTime};

/// The example of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExample;
