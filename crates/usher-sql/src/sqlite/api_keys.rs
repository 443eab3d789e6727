//! API keys.

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use usher_auth::api_key::ApiKey;
use usher_auth::ids::{ApiKeyId, UserId};
use usher_auth::secret::HashedToken;
use usher_store::{ApiKeyStore, StoreError};

use super::SqlStore;
use super::rows::{Columns, During, RowError, bytes, read_all, read_one};

#[async_trait]
impl ApiKeyStore for SqlStore {
    async fn create_api_key(&self, key: &ApiKey) -> Result<(), StoreError> {
        let context = "remembering an API key";
        sqlx::query(
            "INSERT INTO api_keys (id, user_id, secret_hash, label, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)",
        )
        .bind(key.id.as_str())
        .bind(key.user.as_str())
        .bind(bytes(&key.secret))
        .bind(&key.label)
        .bind(key.created_at.as_millis())
        .bind(key.expires_at.map(usher_auth::UnixTime::as_millis))
        .execute(self.writer(context)?)
        .await
        .during(context)?;
        Ok(())
    }

    async fn api_key_by_secret(&self, secret: &HashedToken) -> Result<Option<ApiKey>, StoreError> {
        let context = "looking up an API key";
        let row = sqlx::query(
            "SELECT id, user_id, secret_hash, label, created_at, expires_at FROM api_keys WHERE secret_hash = ?",
        )
        .bind(bytes(secret))
        .fetch_optional(self.reader(context)?)
        .await
        .during(context)?;
        read_one(row, read_api_key, context)
    }

    async fn api_keys(&self, user: Option<&UserId>) -> Result<Vec<ApiKey>, StoreError> {
        let context = "listing API keys";
        let query = match user {
            Some(user) => sqlx::query(
                "SELECT id, user_id, secret_hash, label, created_at, expires_at FROM api_keys WHERE user_id = ?
                 ORDER BY id",
            )
            .bind(user.as_str()),
            None => {
                sqlx::query("SELECT id, user_id, secret_hash, label, created_at, expires_at FROM api_keys ORDER BY id")
            }
        };
        let rows = query.fetch_all(self.reader(context)?).await.during(context)?;
        read_all(rows, read_api_key, context)
    }
}

fn read_api_key(row: &SqliteRow) -> Result<ApiKey, RowError> {
    Ok(ApiKey {
        id: row.id("id", ApiKeyId::new)?,
        user: row.id("user_id", UserId::new)?,
        secret: row.hash("secret_hash")?,
        label: row.text("label")?,
        created_at: row.time("created_at")?,
        expires_at: row.optional_time("expires_at")?,
    })
}
