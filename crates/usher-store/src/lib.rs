//! Traits for what is remembered, an in-memory implementation, and the conformance suite every backend must pass.
