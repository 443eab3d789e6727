//! What was looked up about sessions and API keys, held until an event says otherwise.

mod held;
#[cfg(test)]
mod tests;

use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use usher_auth::UnixTime;
use usher_auth::api_key::ApiKey;
use usher_auth::ids::{ApiKeyId, SessionId, UserId};
use usher_auth::secret::HashedToken;
use usher_auth::session::Session;
use usher_auth::user::User;

use self::held::Held;
use crate::sync::Mutex;

/// How much is remembered, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct MemoryLimits {
    /// Most sessions, and as many API keys. Beyond it those go first that were not used since others came.
    pub entries: usize,
    /// How long a look-up is remembered; `None` is until an event says otherwise. Only a process that hears of every change of the store may
    /// say so: one that is the only writer, or that receives the events of all others.
    pub age: Option<Duration>,
}

/// Enough for a process that hears of every change of the store.
const ENTRIES: usize = 100_000;
/// Where another process may change the store unheard: how long a changed role, or the end of a session, may take to be seen.
const UNHEARD_AGE: Duration = Duration::from_secs(30);

impl Default for MemoryLimits {
    /// 100,000 of each for 30 s, which is safe beside other writers.
    fn default() -> Self {
        Self { entries: ENTRIES, age: Some(UNHEARD_AGE) }
    }
}

impl MemoryLimits {
    /// 100,000 of each until an event says otherwise, for a process that hears of every change of the store.
    pub fn until_told() -> Self {
        Self { age: None, ..Self::default() }
    }
}

/// What was looked up about a credential.
#[derive(Clone, Debug)]
pub(crate) struct Known<C> {
    pub(crate) credential: C,
    /// The credential's user, if there is one.
    pub(crate) user: Option<Arc<User>>,
    /// Before the user was read: roles that changed later are not in it.
    pub(crate) read_at: UnixTime,
}

/// A credential whose look-up can be remembered.
pub(crate) trait Remembered: Clone {
    /// Its public name.
    type Id: Clone + Ord + Hash;
    fn id(&self) -> &Self::Id;
    fn secret(&self) -> HashedToken;
    fn user(&self) -> &UserId;
    /// Keeps what `other`, an earlier or later look-up of the same credential, knows better.
    fn join(&mut self, other: &Self);
}

impl Remembered for Session {
    type Id = SessionId;

    fn id(&self) -> &SessionId {
        &self.id
    }

    fn secret(&self) -> HashedToken {
        self.secret
    }

    fn user(&self) -> &UserId {
        &self.user
    }

    fn join(&mut self, other: &Self) {
        self.last_seen_at = self.last_seen_at.max(other.last_seen_at);
    }
}

impl Remembered for ApiKey {
    type Id = ApiKeyId;

    fn id(&self) -> &ApiKeyId {
        &self.id
    }

    fn secret(&self) -> HashedToken {
        self.secret
    }

    fn user(&self) -> &UserId {
        &self.user
    }

    fn join(&mut self, _other: &Self) {}
}

/// Look-ups of one kind of credential.
///
/// A look-up that began before an event and ends after it may have read what was before. So [`Memory::begin`] comes before the store is asked,
/// and [`Memory::insert`] keeps nothing that an event since then was about.
pub(crate) struct Memory<C: Remembered> {
    held: Mutex<Held<C>>,
    limits: MemoryLimits,
}

/// A look-up that has begun: the number of events before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LookUp(u64);

impl<C: Remembered> Memory<C> {
    pub(crate) fn new(limits: MemoryLimits) -> Self {
        Self { held: Mutex::new(Held::default()), limits }
    }

    /// What is remembered of the credential with that secret. `now` is monotonic.
    pub(crate) fn by_secret(&self, secret: &HashedToken, now: Duration) -> Option<Arc<Known<C>>> {
        self.held.lock().by_secret(secret, self.oldest(now))
    }

    /// What is remembered of the credential of that name.
    pub(crate) fn by_id(&self, id: &C::Id, now: Duration) -> Option<Arc<Known<C>>> {
        self.held.lock().by_id(id, self.oldest(now))
    }

    /// When something was looked up at the earliest that counts still.
    fn oldest(&self, now: Duration) -> Duration {
        self.limits.age.map_or(Duration::ZERO, |age| now.saturating_sub(age))
    }

    /// To be called before the store is asked.
    pub(crate) fn begin(&self) -> LookUp {
        LookUp(self.held.lock().events())
    }

    /// Remembers what was looked up, unless something of it may have changed since the look-up began. Returns it in either case.
    pub(crate) fn insert(&self, look_up: LookUp, known: Known<C>, now: Duration) -> Arc<Known<C>> {
        let mut held = self.held.lock();
        if held.has_changed_since(look_up.0, known.credential.id(), known.credential.user()) {
            return Arc::new(known);
        }
        held.insert(known, now, self.limits.entries)
    }

    /// Changes what is remembered of a credential, if anything is. Whoever has read it earlier and inserts it later joins it with this.
    pub(crate) fn update(&self, id: &C::Id, change: impl FnOnce(&mut C)) {
        self.held.lock().update(id, change);
    }

    /// The credential ended or was changed.
    pub(crate) fn forget(&self, id: &C::Id) {
        self.held.lock().forget(id);
    }

    /// The user, or all that the user has, was changed.
    pub(crate) fn forget_user(&self, user: &UserId) {
        self.held.lock().forget_user(user);
    }

    /// Anything may have been changed.
    pub(crate) fn forget_all(&self) {
        self.held.lock().forget_all();
    }

    /// How many are remembered.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.held.lock().len()
    }
}
