//! The in-memory implementation.
