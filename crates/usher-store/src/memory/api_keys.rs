//! API keys in memory.

use async_trait::async_trait;
use usher_auth::api_key::ApiKey;
use usher_auth::ids::{ApiKeyId, UserId};
use usher_auth::secret::HashedToken;

use super::MemoryStore;
use crate::{ApiKeyStore, CreateApiKey, StoreError};

#[async_trait]
impl ApiKeyStore for MemoryStore {
    async fn create_api_key(&self, key: &ApiKey, most: usize) -> Result<CreateApiKey, StoreError> {
        let mut tables = self.tables();
        match tables.users.get(&key.user) {
            None => return Ok(CreateApiKey::NoSuchUser),
            Some((user, _)) if user.disabled => return Ok(CreateApiKey::Disabled),
            Some(_) => {}
        }
        if tables.api_keys().filter(|one| one.user == key.user).count() >= most {
            return Ok(CreateApiKey::TooMany);
        }
        let added = tables.insert_api_key(key.clone());
        added.map_err(|duplicate| StoreError::new("remembering an API key", duplicate))?;
        Ok(CreateApiKey::Created)
    }

    async fn api_key_by_secret(&self, secret: &HashedToken) -> Result<Option<ApiKey>, StoreError> {
        Ok(self.tables().api_key_by_secret(secret).cloned())
    }

    async fn api_key(&self, id: &ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
        Ok(self.tables().api_keys().find(|key| key.id == *id).cloned())
    }

    async fn api_keys(&self, user: Option<&UserId>) -> Result<Vec<ApiKey>, StoreError> {
        Ok(self.tables().api_keys().filter(|key| user.is_none_or(|user| key.user == *user)).cloned().collect())
    }
}
