//! A store that stops at its calls: so that a test decides what happens between any two awaits of the server (req H5).

use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use usher_auth::UnixTime;
use usher_auth::api_key::ApiKey;
use usher_auth::ids::{ApiKeyId, SessionId, UserId};
use usher_auth::revocation::{BlockedUser, Revocation};
use usher_auth::secret::HashedToken;
use usher_auth::session::{RefreshToken, Session};
use usher_auth::user::{PasswordHash, User};
use usher_store::{
    ApiKeyStore, BannedUser, ChangedUser, CreateApiKey, CreateUser, EndedFamily, KnownAddress, KnownAddressBounds,
    KnownAddressStore, NewSession, RefreshOutcome, RefreshRotation, RefreshTokenStore, RevocationStore,
    RevocationTimes, SessionStore, StartedSession, Store, StoreError, UserChange, UserStore,
};

/// A place where the store may be stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Barrier {
    /// Before the store's method of that name does anything.
    Before(&'static str),
    /// When it is done, before its caller learns so.
    After(&'static str),
}

type Detour = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A store with one detour at most: what is done at a barrier, once.
pub struct BarrierStore {
    inner: Arc<dyn Store>,
    detour: Mutex<Option<(Barrier, Detour)>>,
    met: Mutex<Vec<Barrier>>,
    pause: Mutex<Option<Pause>>,
}

type Pause = Arc<dyn Fn() -> Detour + Send + Sync>;

impl BarrierStore {
    /// Over another store, without a detour.
    pub fn new(inner: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self { inner, detour: Mutex::new(None), met: Mutex::new(Vec::new()), pause: Mutex::new(None) })
    }

    /// Whoever meets `barrier` first does `detour` there and then goes on. A detour that was not taken is forgotten.
    pub fn detour(&self, barrier: Barrier, detour: impl Future<Output = ()> + Send + 'static) {
        *self.detour.lock() = Some((barrier, Box::pin(detour)));
    }

    /// At every barrier `pause` is awaited: for a scheduler that decides who goes on.
    pub fn pause_with<F: Future<Output = ()> + Send + 'static>(&self, pause: impl Fn() -> F + Send + Sync + 'static) {
        *self.pause.lock() = Some(Arc::new(move || Box::pin(pause())));
    }

    /// Whether the detour has been taken.
    pub fn was_taken(&self) -> bool {
        self.detour.lock().is_none()
    }

    /// The barriers met since the last time this was asked, in their order.
    pub fn met(&self) -> Vec<Barrier> {
        std::mem::take(&mut self.met.lock())
    }

    async fn meet(&self, barrier: Barrier) {
        self.met.lock().push(barrier);
        let detour = {
            let mut detour = self.detour.lock();
            if detour.as_ref().is_some_and(|(at, _)| *at == barrier) { detour.take() } else { None }
        };
        if let Some((_, detour)) = detour {
            detour.await;
        }
        let pause = self.pause.lock().clone();
        if let Some(pause) = pause {
            pause().await;
        }
    }
}

macro_rules! delegate {
    ($trait:ident { $(fn $method:ident(&self $(, $argument:ident: $type:ty)*) -> $result:ty;)* }) => {
        #[async_trait]
        impl $trait for BarrierStore {
            $(async fn $method(&self $(, $argument: $type)*) -> Result<$result, StoreError> {
                self.meet(Barrier::Before(stringify!($method))).await;
                let result = self.inner.$method($($argument),*).await;
                self.meet(Barrier::After(stringify!($method))).await;
                result
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

delegate!(SessionStore {
    fn create_session(&self, session: &Session) -> ();
    fn start_session(&self, new: &NewSession<'_>) -> StartedSession;
    fn session_by_secret(&self, secret: &HashedToken) -> Option<Session>;
    fn session(&self, id: &SessionId) -> Option<Session>;
    fn sessions_of(&self, user: &UserId, after: Option<&SessionId>, limit: u32) -> Vec<Session>;
    fn touch_session(&self, id: &SessionId, seen_at: UnixTime) -> bool;
    fn touch_sessions(&self, uses: &[(SessionId, UnixTime)]) -> u64;
    fn reap_sessions(&self, idle_before: UnixTime, created_before: UnixTime) -> u64;
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
