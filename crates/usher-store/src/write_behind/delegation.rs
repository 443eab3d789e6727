//! Everything else goes to the store behind; what is read of a session has its last use.

use async_trait::async_trait;
use usher_auth::UnixTime;
use usher_auth::api_key::ApiKey;
use usher_auth::ids::{ApiKeyId, SessionId, UserId};
use usher_auth::revocation::{BlockedUser, Revocation};
use usher_auth::secret::HashedToken;
use usher_auth::session::{RefreshToken, Session};
use usher_auth::user::{PasswordHash, User};

use super::WriteBehindStore;
use crate::{
    ApiKeyStore, BannedUser, ChangedUser, CreateApiKey, CreateUser, EndedFamily, KnownAddress, KnownAddressBounds,
    KnownAddressStore, NewSession, RefreshOutcome, RefreshRotation, RefreshTokenStore, RevocationStore,
    RevocationTimes, SessionStore, StartedSession, Store, StoreError, UserChange, UserStore,
};

#[async_trait]
impl SessionStore for WriteBehindStore {
    async fn create_session(&self, session: &Session) -> Result<(), StoreError> {
        self.inner.create_session(session).await
    }

    async fn start_session(&self, new: &NewSession<'_>) -> Result<StartedSession, StoreError> {
        self.inner.start_session(new).await
    }

    async fn session_by_secret(&self, secret: &HashedToken) -> Result<Option<Session>, StoreError> {
        let found = self.inner.session_by_secret(secret).await?;
        Ok(self.up_to_date(found.into_iter().collect()).pop())
    }

    async fn session(&self, id: &SessionId) -> Result<Option<Session>, StoreError> {
        let found = self.inner.session(id).await?;
        Ok(self.up_to_date(found.into_iter().collect()).pop())
    }

    async fn sessions_of(
        &self,
        user: &UserId,
        after: Option<&SessionId>,
        limit: u32,
    ) -> Result<Vec<Session>, StoreError> {
        Ok(self.up_to_date(self.inner.sessions_of(user, after, limit).await?))
    }

    async fn touch_session(&self, id: &SessionId, seen_at: UnixTime) -> Result<bool, StoreError> {
        self.inner.touch_session(id, seen_at).await
    }

    async fn touch_sessions(&self, uses: &[(SessionId, UnixTime)]) -> Result<u64, StoreError> {
        self.inner.touch_sessions(uses).await
    }

    async fn reap_sessions(&self, idle_before: UnixTime, created_before: UnixTime) -> Result<u64, StoreError> {
        // A session in use must not be taken for an idle one.
        self.flush().await?;
        self.inner.reap_sessions(idle_before, created_before).await
    }
}

macro_rules! delegate {
    ($trait:ident { $(fn $method:ident(&self $(, $argument:ident: $type:ty)*) -> $result:ty;)* }) => {
        #[async_trait]
        impl $trait for WriteBehindStore {
            $(async fn $method(&self $(, $argument: $type)*) -> Result<$result, StoreError> {
                self.inner.$method($($argument),*).await
            })*
        }
    };
}

delegate!(UserStore {
    fn create_user(&self, user: &User, password: Option<&PasswordHash>) -> CreateUser;
    fn user(&self, id: &UserId) -> Option<User>;
    fn user_with_password(&self, id: &UserId) -> Option<(User, Option<PasswordHash>)>;
    fn users(&self, after: Option<&UserId>, limit: u32) -> Vec<User>;
    fn change_user(&self, id: &UserId, change: &UserChange, when: RevocationTimes) -> Option<ChangedUser>;
    fn upgrade_password_hash(&self, id: &UserId, old: &PasswordHash, new: &PasswordHash) -> bool;
    fn ban_user(&self, id: &UserId, when: RevocationTimes) -> Vec<Revocation>;
    fn unban_user(&self, id: &UserId) -> bool;
    fn banned_users(&self, after: Option<&UserId>, limit: u32) -> Vec<BannedUser>;
    fn blocked_users(&self) -> Vec<BlockedUser>;
});

delegate!(RefreshTokenStore {
    fn create_refresh_token(&self, token: &RefreshToken) -> ();
    fn refresh_token(&self, secret: &HashedToken) -> Option<RefreshToken>;
    fn rotate_refresh_token(&self, rotation: &RefreshRotation) -> RefreshOutcome;
    fn end_refresh_family(&self, family: &HashedToken, when: RevocationTimes) -> Option<EndedFamily>;
    fn reap_refresh_tokens(&self, now: UnixTime) -> u64;
});

delegate!(ApiKeyStore {
    fn create_api_key(&self, key: &ApiKey, most: usize) -> CreateApiKey;
    fn api_key_by_secret(&self, secret: &HashedToken) -> Option<ApiKey>;
    fn api_key(&self, id: &ApiKeyId) -> Option<ApiKey>;
    fn api_keys(&self, user: Option<&UserId>) -> Vec<ApiKey>;
});

delegate!(RevocationStore {
    fn revoke(&self, revocation: &Revocation) -> Vec<Revocation>;
    fn revocations(&self) -> Vec<Revocation>;
    fn newest_moment(&self) -> Option<UnixTime>;
    fn reap_revocations(&self, now: UnixTime) -> u64;
});

delegate!(KnownAddressStore {
    fn remember_addresses(&self, addresses: &[KnownAddress], bounds: KnownAddressBounds) -> ();
    fn known_addresses(&self, limit: u32) -> Vec<KnownAddress>;
    fn reap_known_addresses(&self, before: UnixTime) -> u64;
});

delegate!(Store {
    fn check(&self) -> ();
});
