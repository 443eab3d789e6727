//! What a store can fail with.

use std::error::Error;

/// The store could not do what was asked, through no fault of the request. Whoever asks must fail closed.
#[derive(Debug, thiserror::Error)]
#[error("the store cannot be used: {context}")]
pub struct StoreError {
    /// What was being done.
    pub context: &'static str,
    /// What the backend said.
    #[source]
    pub source: Box<dyn Error + Send + Sync>,
}

impl StoreError {
    /// With what was being done and what the backend said.
    pub fn new(context: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { context, source: source.into() }
    }
}
