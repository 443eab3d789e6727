//! SQLite behind the usher-store traits, on sqlx with embedded migrations.
//!
//! This crate refuses to know what the things it remembers are for: the rules are in usher-auth, and those that every backend
//! shares in usher-store. Secrets reach it as hashes.

mod open_error;
mod options;
mod sqlite;

pub use open_error::OpenError;
pub use options::SqlOptions;
pub use sqlite::{BackUpError, SqlStore, partial_of};

/// The example of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExample;
