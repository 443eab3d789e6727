//! The traits a backend implements.
//!
//! A method returns only once what it did is durable. Lists are ordered by id (bytewise) and bounded by their caller. What ends
//! at a moment is over at that moment, not after it.

use async_trait::async_trait;
use usher_auth::ids::{ApiKeyId, SessionId, UserId};
use usher_auth::revocation::{BlockedUser, Revocation};
use usher_auth::secret::HashedToken;
use usher_auth::session::{RefreshToken, Session};
use usher_auth::ticket::Ticket;
use usher_auth::user::{PasswordHash, User};
use usher_auth::{Now, UnixTime, api_key::ApiKey};

use crate::changes::{
    BannedUser, ChangedUser, CreateApiKey, EndedFamily, NewSession, RefreshOutcome, RefreshRotation, RevocationTimes,
    StartedSession, UserChange,
};
use crate::{KnownAddressStore, StoreError};

/// What became of adding a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateUser {
    /// Added.
    Created,
    /// There is one of that id already; nothing was changed.
    Exists,
    /// The id is that of another issuer's banned user; nothing was changed.
    Banned,
}

/// Users and their passwords.
#[async_trait]
pub trait UserStore: Send + Sync {
    /// Add a user, with a password if they may log in with one. Sessions and keys left behind under that id are removed: a new
    /// user begins with nothing, even if a log-in of a predecessor of that name was under way while they were removed.
    async fn create_user(&self, user: &User, password: Option<&PasswordHash>) -> Result<CreateUser, StoreError>;
    /// The user of that id.
    async fn user(&self, id: &UserId) -> Result<Option<User>, StoreError>;
    /// The user of that id with their password, as one reading.
    async fn user_with_password(&self, id: &UserId) -> Result<Option<(User, Option<PasswordHash>)>, StoreError>;
    /// Up to `limit` users whose id comes after `after`.
    async fn users(&self, after: Option<&UserId>, limit: u32) -> Result<Vec<User>, StoreError>;
    /// In one transaction: change the user, and revoke what ends with the change as [`RevocationStore::revoke`] does; `None` if there is
    /// no such user, and then nothing is done.
    async fn change_user(
        &self,
        id: &UserId,
        change: &UserChange,
        when: RevocationTimes,
    ) -> Result<Option<ChangedUser>, StoreError>;
    /// Put `new`, of the same password, in the place of `old`; false if `old` is not the hash any more, and then nothing changes:
    /// a better hash of the old password must not undo a password change.
    async fn upgrade_password_hash(
        &self,
        id: &UserId,
        old: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<bool, StoreError>;
    /// In one transaction: refuse another issuer's user from now on, and revoke what they have. Returns what is remembered. It is no
    /// error to ban a banned user.
    async fn ban_user(&self, id: &UserId, when: RevocationTimes) -> Result<Vec<Revocation>, StoreError>;
    /// Refuse the user no longer; false if they were not banned.
    async fn unban_user(&self, id: &UserId) -> Result<bool, StoreError>;
    /// Up to `limit` banned users whose id comes after `after`.
    async fn banned_users(&self, after: Option<&UserId>, limit: u32) -> Result<Vec<BannedUser>, StoreError>;
    /// Every user whose credentials are refused: those disabled and those banned.
    async fn blocked_users(&self) -> Result<Vec<BlockedUser>, StoreError>;
}

/// Server-side sessions.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Remember a new session. Its user need not be one of ours: an issuer's users have sessions too. A second one of the same id
    /// or secret is an error.
    async fn create_session(&self, session: &Session) -> Result<(), StoreError>;
    /// In one transaction: start the session of a user of ours who gave the right password, with its first refresh token; end the session
    /// that it replaces and those beyond the limit, first those that were remembered first.
    async fn start_session(&self, new: &NewSession<'_>) -> Result<StartedSession, StoreError>;
    /// The session whose cookie has that hash.
    async fn session_by_secret(&self, secret: &HashedToken) -> Result<Option<Session>, StoreError>;
    /// The session of that id.
    async fn session(&self, id: &SessionId) -> Result<Option<Session>, StoreError>;
    /// Up to `limit` of a user's sessions whose id comes after `after`.
    async fn sessions_of(
        &self,
        user: &UserId,
        after: Option<&SessionId>,
        limit: u32,
    ) -> Result<Vec<Session>, StoreError>;
    /// Move `last_seen_at` forward, never back; false if there is no such session.
    async fn touch_session(&self, id: &SessionId, seen_at: UnixTime) -> Result<bool, StoreError>;
    /// In one transaction: the same for many. A session that is not there (any more) is passed over and does not come back. Returns how
    /// many are there, each counted once.
    async fn touch_sessions(&self, uses: &[(SessionId, UnixTime)]) -> Result<u64, StoreError>;
    /// Remove sessions last seen before `idle_before` or created before `created_before`, with their refresh tokens; how many
    /// sessions.
    async fn reap_sessions(&self, idle_before: UnixTime, created_before: UnixTime) -> Result<u64, StoreError>;
}

/// Refresh tokens.
#[async_trait]
pub trait RefreshTokenStore: Send + Sync {
    /// Remember the first token of a session. It is an error if its user has no such session (any more).
    async fn create_refresh_token(&self, token: &RefreshToken) -> Result<(), StoreError>;
    /// The token of that hash.
    async fn refresh_token(&self, secret: &HashedToken) -> Result<Option<RefreshToken>, StoreError>;
    /// In one transaction: spend a token, put its successor in place and note the use of the session; or end the session, if the token
    /// was spent before. The successor's `session` and `user` are taken from the presented token, whatever the caller put there.
    ///
    /// Of one session [`crate::backend::SPENT_TOKENS_KEPT`] spent tokens are kept, the newest; an older one is known by its family.
    async fn rotate_refresh_token(&self, rotation: &RefreshRotation) -> Result<RefreshOutcome, StoreError>;
    /// In one transaction: end the session that has this family of refresh tokens, if there is one. For a token that is not there: it was
    /// spent so long ago that nothing else of it is kept.
    async fn end_refresh_family(
        &self,
        family: &HashedToken,
        when: RevocationTimes,
    ) -> Result<Option<EndedFamily>, StoreError>;
    /// Remove spent tokens that are over at `now`; how many. One that was never used stays until its session ends: it is expired, and must
    /// not become one that is taken for spent.
    async fn reap_refresh_tokens(&self, now: UnixTime) -> Result<u64, StoreError>;
}

/// API keys.
#[async_trait]
pub trait ApiKeyStore: Send + Sync {
    /// In one transaction: remember a new key of a user of ours who is not disabled and has fewer than `most`. A second one of the same
    /// id or secret is an error.
    async fn create_api_key(&self, key: &ApiKey, most: usize) -> Result<CreateApiKey, StoreError>;
    /// The key of that hash.
    async fn api_key_by_secret(&self, secret: &HashedToken) -> Result<Option<ApiKey>, StoreError>;
    /// The key of that id.
    async fn api_key(&self, id: &ApiKeyId) -> Result<Option<ApiKey>, StoreError>;
    /// A user's keys, or everybody's.
    async fn api_keys(&self, user: Option<&UserId>) -> Result<Vec<ApiKey>, StoreError>;
}

/// Revocations, and the removal of what they end.
#[async_trait]
pub trait RevocationStore: Send + Sync {
    /// In one transaction: remember `revocation`, remove the sessions, refresh tokens and API keys it ends, and remember one
    /// revocation more for each session and each key removed. Returns all that are remembered: the given one first, then by session, then
    /// by key.
    ///
    /// A user revocation removes all sessions that the user has now (but the excepted one), whatever the clock said when they began,
    /// with their refresh tokens; API keys only where [`usher_auth::revocation::RevocationCause::removes_api_keys`].
    ///
    /// Other roles end no session, unless it was used so much later by the wall clock that this must be behind (see [`crate::backend::used_later`]).
    ///
    /// The end of a session that was last used after the revocation by its `last_seen_at`, because the wall clock is behind, is remembered for as much
    /// longer (see [`crate::backend::with_removed`]). So a token of a session must not be issued before its use is in the store.
    ///
    /// Revoking the same thing again is no second revocation: the first one stays, and is forgotten at the later of the two moments. Two
    /// of a user are the same if their cause is; the later `issued_before` counts then. So a user has at most one for each cause.
    async fn revoke(&self, revocation: &Revocation) -> Result<Vec<Revocation>, StoreError>;
    /// Every revocation that is remembered, in the order they were remembered: also those that could be forgotten by a clock that may be
    /// wrong.
    async fn revocations(&self) -> Result<Vec<Revocation>, StoreError>;
    /// The newest moment that sessions, refresh tokens and revocations tell of; `None` if there are none.
    async fn newest_moment(&self) -> Result<Option<UnixTime>, StoreError>;
    /// Remove those that no longer matter at `now`; how many.
    async fn reap_revocations(&self, now: UnixTime) -> Result<u64, StoreError>;
}

/// Everything durable.
#[async_trait]
pub trait Store:
    UserStore + SessionStore + RefreshTokenStore + ApiKeyStore + RevocationStore + KnownAddressStore
{
    /// Whether the store can be used now: for readiness.
    async fn check(&self) -> Result<(), StoreError>;
}

/// How many tickets may be outstanding: bought, not yet presented, not yet over (req D8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TicketBounds {
    /// Of one user, whatever sessions and keys they were bought with.
    pub per_user: usize,
    /// In all.
    pub total: usize,
}

impl Default for TicketBounds {
    /// 100 of one user, 100,000 in all (some 100 MB at most).
    fn default() -> Self {
        Self { per_user: 100, total: 100_000 }
    }
}

/// Why a ticket was not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TicketRejected {
    /// The user has as many outstanding tickets as one may have.
    TooManyForUser,
    /// The store holds as many as it may.
    Full,
}

/// What a presented ticket was.
#[derive(Clone, Debug)]
pub enum RedeemedTicket {
    /// Good, and spent by this presentation.
    Good(Box<Ticket>),
    /// Was good once: spent, or too old. Known for a minute after it would have expired; later it is [`Self::Unknown`].
    Gone,
    /// Never was one.
    Unknown,
}

/// Single-use tickets: short-lived, shared by all nodes, not durable.
#[async_trait]
pub trait TicketStore: Send + Sync {
    /// Remember a ticket under its hash until it expires. The number outstanding per user and in all is bounded
    /// (req D8). A second one under the same hash is an error.
    async fn put(
        &self,
        secret: &HashedToken,
        ticket: Ticket,
        now: Now,
    ) -> Result<Result<(), TicketRejected>, StoreError>;
    /// Take the ticket out: of any number at once, exactly one gets it (req D3). Whether it has expired is decided here, by a clock that is not set:
    /// a wall clock that goes back between the two calls lengthens no ticket's life (req D4).
    async fn redeem(&self, secret: &HashedToken, now: Now) -> Result<RedeemedTicket, StoreError>;
}

/// A record of the audit trail, as the line that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its number in its chain, from 1.
    pub number: u64,
    /// When what it tells of happened.
    pub at: UnixTime,
    /// One JSON object, without a line break.
    pub line: String,
}

/// How far a hash chain has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainHead {
    /// The number of its last record.
    pub number: u64,
    /// The authentication code of that record.
    pub mac: [u8; 32],
}

/// The audit trail: records in the order in which they were made, and the heads of all chains, also of those that are kept in files.
#[async_trait]
pub trait AuditStore: Send + Sync {
    /// In one transaction: append `entries`, and move the head of `chain` to `head`. A number that is there already is an error, and
    /// then nothing changes.
    async fn append_audit(&self, chain: &str, head: &ChainHead, entries: &[AuditEntry]) -> Result<(), StoreError>;
    /// The head of that chain, if it has begun.
    async fn audit_head(&self, chain: &str) -> Result<Option<ChainHead>, StoreError>;
    /// Up to `limit` records whose number is more than `after`, by number.
    async fn audit_entries(&self, after: u64, limit: u32) -> Result<Vec<AuditEntry>, StoreError>;
    /// Remove the beginning of the trail, up to the last record of before `before` that no later one precedes; how many. The heads stay.
    ///
    /// Numbers tell which record is older, times do not: one that says it is old and comes after one that is not was written while the wall clock was
    /// behind, and a record that is missing in the middle looks like tampering. Records of after `now` were written while it was ahead, and keep
    /// nothing.
    async fn reap_audit(&self, before: UnixTime, now: UnixTime) -> Result<u64, StoreError>;
}
