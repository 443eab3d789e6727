//! API keys.

use async_trait::async_trait;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;
use usher_auth::api_key::ApiKey;
use usher_auth::ids::{ApiKeyId, UserId};
use usher_auth::secret::HashedToken;
use usher_store::{ApiKeyStore, CreateApiKey, StoreError};

use super::SqlStore;
use super::rows::{Columns, During, RowError, bytes, read_all, read_one};

#[async_trait]
impl ApiKeyStore for SqlStore {
    async fn create_api_key(&self, key: &ApiKey, most: usize) -> Result<CreateApiKey, StoreError> {
        let context = "remembering an API key";
        let mut writing = self.write(context).await?;
        let user =
            "SELECT disabled, (SELECT count(*) FROM api_keys WHERE user_id = users.id) AS keys FROM users WHERE id = ?";
        let user = sqlx::query(user).bind(key.user.as_str());
        let user = user.fetch_optional(writing.connection()).await.during(context)?;
        let held = |row: &SqliteRow| Ok((row.flag("disabled")?, row.try_get::<i64, _>("keys")?));
        let refused = match read_one(user, held, context)? {
            None => Some(CreateApiKey::NoSuchUser),
            Some((true, _)) => Some(CreateApiKey::Disabled),
            Some((_, keys)) if usize::try_from(keys).is_ok_and(|keys| keys >= most) => Some(CreateApiKey::TooMany),
            Some(_) => None,
        };
        if let Some(refused) = refused {
            writing.roll_back().await?;
            return Ok(refused);
        }
        let insert = sqlx::query(
            "INSERT INTO api_keys (id, user_id, secret_hash, label, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)",
        )
        .bind(key.id.as_str())
        .bind(key.user.as_str())
        .bind(bytes(&key.secret))
        .bind(&key.label)
        .bind(key.created_at.as_millis())
        .bind(key.expires_at.map(usher_auth::UnixTime::as_millis));
        writing.execute(insert).await?;
        writing.commit().await?;
        Ok(CreateApiKey::Created)
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

    async fn api_key(&self, id: &ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
        let context = "looking up an API key by its id";
        let query =
            sqlx::query("SELECT id, user_id, secret_hash, label, created_at, expires_at FROM api_keys WHERE id = ?")
                .bind(id.as_str());
        let row = query.fetch_optional(self.reader(context)?).await.during(context)?;
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
