//! `usher backup`: a copy of the store, made by the process that has it open.

use std::path::Path;

use async_trait::async_trait;
use usher_sql::SqlStore;

use super::{AdminError, Administration, Answer};
use crate::error_text::with_sources;

/// Copies the store.
#[async_trait]
pub trait BackUp: Send + Sync {
    /// Copy all of it to the new file `to`; an error says what to do.
    async fn back_up(&self, to: &Path) -> Result<(), String>;
}

#[async_trait]
impl BackUp for SqlStore {
    async fn back_up(&self, to: &Path) -> Result<(), String> {
        SqlStore::back_up(self, to).await.map_err(|error| with_sources(&error))
    }
}

impl Administration {
    pub(super) async fn back_up(&self, to: &Path) -> Result<Answer, AdminError> {
        self.backup.back_up(to).await.map_err(AdminError::BackUp)?;
        Ok(Answer::Done { connections_ended: 0 })
    }
}
