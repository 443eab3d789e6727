//! Operations on API keys.

use std::time::Duration;

use usher_auth::api_key::ApiKey;
use usher_auth::ids::{ApiKeyId, UserId};
use usher_auth::revocation::{RevocationCause, RevocationTarget};
use usher_auth::secret::{PlainToken, TokenKind};
use usher_store::CreateApiKey;
use zeroize::Zeroizing;

use super::administration::check_text;
use super::{AdminError, Administration, Answer, KeyRow, NewKey};

/// Longest life of a key that has an end: beyond it lies a slip of the pen.
const MAX_LIFETIME: Duration = Duration::from_hours(24 * 36_500);
/// Longest label, in bytes.
const MAX_LABEL_BYTES: usize = 256;

impl Administration {
    pub(super) async fn add_key(
        &self,
        user: UserId,
        label: String,
        lifetime_seconds: Option<u64>,
    ) -> Result<Answer, AdminError> {
        check_text(&label, MAX_LABEL_BYTES, "a key's label has at most 256 bytes and no control characters")?;
        let lifetime = lifetime_seconds.map(Duration::from_secs);
        if lifetime.is_some_and(|lifetime| lifetime.is_zero() || lifetime > MAX_LIFETIME) {
            return Err(AdminError::Lifetime);
        }
        let secret = PlainToken::from_random(TokenKind::ApiKey, self.randomness.bytes());
        let now = self.now();
        let key = ApiKey {
            id: ApiKeyId::from_random(self.randomness.bytes()),
            user,
            secret: secret.hashed(),
            label,
            created_at: now,
            expires_at: lifetime.map(|lifetime| now.plus(lifetime)),
        };
        match self.store.create_api_key(&key, self.most_api_keys).await? {
            CreateApiKey::Created => {}
            CreateApiKey::NoSuchUser => return Err(AdminError::NoSuchUser(key.user)),
            CreateApiKey::Disabled => return Err(AdminError::Disabled(key.user)),
            CreateApiKey::TooMany => {
                return Err(AdminError::TooManyKeys { user: key.user, most: self.most_api_keys });
            }
        }
        Ok(Answer::KeyMade { id: key.id, key: NewKey(Zeroizing::new(secret.reveal().to_owned())) })
    }

    pub(super) async fn list_keys(&self, user: Option<&UserId>) -> Result<Answer, AdminError> {
        let keys = self.store.api_keys(user).await?;
        let keys = keys.into_iter().map(|ApiKey { id, user, label, created_at, expires_at, .. }| KeyRow {
            id,
            user,
            label,
            created_at: created_at.as_seconds(),
            expires_at: expires_at.map(usher_auth::UnixTime::as_seconds),
        });
        Ok(Answer::Keys { keys: keys.collect() })
    }

    pub(super) async fn revoke_key(&self, id: ApiKeyId) -> Result<Answer, AdminError> {
        if self.store.api_key(&id).await?.is_none() {
            return Err(AdminError::NoSuchKey(id));
        }
        let connections_ended = self.revoke(RevocationTarget::ApiKey(id), RevocationCause::KeyRevoked).await?;
        Ok(Answer::Done { connections_ended })
    }
}
