//! What is remembered: traits for users, sessions, refresh tokens, API keys, revocations and tickets, an in-memory
//! implementation, and one conformance suite that every backend must pass.
//!
//! This crate refuses to know what a database is. Secrets reach it as hashes only.

mod changes;
mod error;
mod known_addresses;
mod session_events;
mod traits;
mod write_behind;

pub mod backend;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod memory;

pub use changes::{
    BannedUser, ChangedUser, CreateApiKey, EndedFamily, NewSession, RefreshOutcome, RefreshRotation, RevocationTimes,
    StartedSession, UserChange,
};
pub use error::StoreError;
pub use known_addresses::{HashedAddress, KnownAddress, KnownAddressBounds, KnownAddressStore};
pub use session_events::{
    MAX_QUEUED_EVENTS, ReceivedEvent, SessionEvent, SessionEventReceiver, SessionEvents, SessionUse,
};
pub use traits::{
    ApiKeyStore, AuditEntry, AuditStore, ChainHead, CreateUser, RedeemedTicket, RefreshTokenStore, RevocationStore,
    SessionStore, Store, TicketBounds, TicketRejected, TicketStore, UserStore,
};
pub use write_behind::{MAX_UNWRITTEN_USES, WriteBehindStore};

/// The example of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExample;
