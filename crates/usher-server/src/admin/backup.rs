//! `usher backup`: a copy of the store, made by the process that has it open.

use std::path::Path;

use async_trait::async_trait;

/// Copies the store.
#[async_trait]
pub trait BackUp: Send + Sync {
    /// Copy all of it to the new file `to`; an error says what to do.
    async fn back_up(&self, to: &Path) -> Result<(), String>;
}
