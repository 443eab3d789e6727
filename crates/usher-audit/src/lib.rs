//! The audit trail: who was let in, who was not, what was ended and by whom, as one JSON object each.
//!
//! A record is made on a connection's own task and only put into a bounded queue there; one task writes it to every sink. No record
//! holds a credential, and none can be forged by what a client sends: see `docs/reference/audit.md`.

mod event;
mod record;

mod check;
mod flood;
mod outlet;
mod sinks;
mod status;
mod tally;
mod trail;
mod trail_core;
mod writer;

mod beginning;
mod chain;
pub mod hidden_text;
mod keys;
pub mod secret_file;

#[cfg(test)]
mod tests;

pub use beginning::{SetAsideError, set_aside};
pub use chain::Chain;
pub use check::ChainReport;
pub use event::{AuditEvent, Outcome};
pub use keys::{AuditKeyError, AuditKeys};
pub use record::Record;
pub use sinks::SinkKind;
pub use status::AuditStatus;
pub use trail::{AuditError, AuditSettings, AuditTrail, SinkSetting};
pub use writer::AuditWriter;

/// The example of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExample;
