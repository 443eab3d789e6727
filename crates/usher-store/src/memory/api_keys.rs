//! API keys in memory.

use async_trait::async_trait;
use usher_auth::api_key::ApiKey;
use usher_auth::ids::UserId;
use usher_auth::secret::HashedToken;

use super::MemoryStore;
use crate::{ApiKeyStore, StoreError};

#[async_trait]
impl ApiKeyStore for MemoryStore {
    async fn create_api_key(&self, key: &ApiKey) -> Result<(), StoreError> {
        let added = self.tables().insert_api_key(key.clone());
        added.map_err(|duplicate| StoreError::new("remembering an API key", duplicate))
    }

    async fn api_key_by_secret(&self, secret: &HashedToken) -> Result<Option<ApiKey>, StoreError> {
        Ok(self.tables().api_key_by_secret(secret).cloned())
    }

    async fn api_keys(&self, user: Option<&UserId>) -> Result<Vec<ApiKey>, StoreError> {
        Ok(self.tables().api_keys().filter(|key| user.is_none_or(|user| key.user == *user)).cloned().collect())
    }
}
