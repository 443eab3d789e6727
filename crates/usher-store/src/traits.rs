//! The traits a backend implements.
//!
//! A method returns only once what it did is durable. Lists are ordered by id (bytewise) and bounded by their caller. What ends
//! at a moment is over at that moment, not after it.

use async_trait::async_trait;
use usher_auth::ids::{Role, SessionId, UserId};
use usher_auth::revocation::{Revocation, RevocationCause};
use usher_auth::secret::HashedToken;
use usher_auth::session::{RefreshToken, Session};
use usher_auth::ticket::Ticket;
use usher_auth::user::{PasswordHash, User};
use usher_auth::{UnixTime, api_key::ApiKey};

use crate::{KnownAddressStore, StoreError};

/// What became of adding a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateUser {
    /// Added.
    Created,
    /// There is one of that id already; nothing was changed.
    Exists,
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
    /// Set a password; false if there is no such user.
    async fn set_password(&self, id: &UserId, password: &PasswordHash) -> Result<bool, StoreError>;
    /// Put `new`, of the same password, in the place of `old`; false if `old` is not the hash any more, and then nothing changes:
    /// a better hash of the old password must not undo a password change.
    async fn upgrade_password_hash(
        &self,
        id: &UserId,
        old: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<bool, StoreError>;
    /// Set the roles, kept sorted and without repetition; false if there is no such user.
    async fn set_roles(&self, id: &UserId, roles: &[Role]) -> Result<bool, StoreError>;
    /// Disable or enable; false if there is no such user.
    async fn set_disabled(&self, id: &UserId, disabled: bool) -> Result<bool, StoreError>;
    /// Remove the user with everything of theirs; false if there is no such user. Their revocations stay.
    async fn delete_user(&self, id: &UserId) -> Result<bool, StoreError>;
}

/// Server-side sessions.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Remember a new session. Its user need not be one of ours: an issuer's users have sessions too. A second one of the same id
    /// or secret is an error.
    async fn create_session(&self, session: &Session) -> Result<(), StoreError>;
    /// The session whose cookie has that hash.
    async fn session_by_secret(&self, secret: &HashedToken) -> Result<Option<Session>, StoreError>;
    /// The session of that id.
    async fn session(&self, id: &SessionId) -> Result<Option<Session>, StoreError>;
    /// A user's sessions.
    async fn sessions_of(&self, user: &UserId) -> Result<Vec<Session>, StoreError>;
    /// Move `last_seen_at` forward, never back; false if there is no such session.
    async fn touch_session(&self, id: &SessionId, seen_at: UnixTime) -> Result<bool, StoreError>;
    /// Remove sessions last seen before `idle_before` or created before `created_before`, with their refresh tokens; how many
    /// sessions.
    async fn reap_sessions(&self, idle_before: UnixTime, created_before: UnixTime) -> Result<u64, StoreError>;
}

/// What spends one refresh token and puts its successor in place.
#[derive(Clone, Debug)]
pub struct RefreshRotation {
    /// The token presented, hashed.
    pub presented: HashedToken,
    /// What takes its place; its state is `Fresh`.
    pub successor: RefreshToken,
    /// The successor in clear, sealed under a key derived from the presented token.
    pub sealed_successor: Vec<u8>,
    /// Now.
    pub now: UnixTime,
    /// Until when after its first use a spent token may be retried, if its successor is still unused.
    pub retry_until_spent_since: UnixTime,
}

/// What became of a rotation. It is decided in one transaction: of two at once, one rotates and the other retries or is reuse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefreshOutcome {
    /// The presented token was fresh and is spent now (as which it is returned); the successor is in place.
    Rotated(RefreshToken),
    /// The presented token was spent at or after `retry_until_spent_since` and its successor is still fresh: hand that out again.
    Retried {
        /// The token presented.
        presented: RefreshToken,
        /// The successor it was given before, sealed.
        sealed_successor: Vec<u8>,
        /// That successor.
        successor: RefreshToken,
    },
    /// The presented token is spent and may not be retried: its family must end.
    Reused(RefreshToken),
    /// The presented token is over, spent or not: once reaped it would be unknown, and what it is answered must not hang on when
    /// the reaper ran.
    Expired(RefreshToken),
    /// No such token.
    Unknown,
}

/// Refresh tokens.
#[async_trait]
pub trait RefreshTokenStore: Send + Sync {
    /// Remember the first token of a session. It is an error if its user has no such session (any more).
    async fn create_refresh_token(&self, token: &RefreshToken) -> Result<(), StoreError>;
    /// The token of that hash.
    async fn refresh_token(&self, secret: &HashedToken) -> Result<Option<RefreshToken>, StoreError>;
    /// Spend a token and put its successor in place, atomically. The successor's `session` and `user` are taken from the
    /// presented token, whatever the caller put there.
    async fn rotate_refresh_token(&self, rotation: &RefreshRotation) -> Result<RefreshOutcome, StoreError>;
    /// Remove tokens that are over at `now`; how many.
    async fn reap_refresh_tokens(&self, now: UnixTime) -> Result<u64, StoreError>;
}

/// API keys.
#[async_trait]
pub trait ApiKeyStore: Send + Sync {
    /// Remember a new key. A second one of the same id or secret is an error.
    async fn create_api_key(&self, key: &ApiKey) -> Result<(), StoreError>;
    /// The key of that hash.
    async fn api_key_by_secret(&self, secret: &HashedToken) -> Result<Option<ApiKey>, StoreError>;
    /// A user's keys, or everybody's.
    async fn api_keys(&self, user: Option<&UserId>) -> Result<Vec<ApiKey>, StoreError>;
}

/// Revocations, and the removal of what they end.
#[async_trait]
pub trait RevocationStore: Send + Sync {
    /// In one transaction: remember `revocation`, remove the sessions, refresh tokens and API keys it ends, and remember one
    /// revocation more for each session removed. Returns all that were remembered, the given one first, the others by session.
    ///
    /// A user revocation removes that user's sessions created before its `issued_before` (but the excepted one) with their
    /// refresh tokens; it removes API keys, created before that moment, only when its cause is `UserDeleted`.
    ///
    /// Revoking the same thing again is no second revocation: the first one stays, and is forgotten at the later of the two
    /// moments. Two of a user are the same if moment, exception and cause are.
    async fn revoke(&self, revocation: &Revocation) -> Result<Vec<Revocation>, StoreError>;
    /// Forget the user revocations that `cause` brought upon `user`; how many were forgotten. Sessions that it removed stay ended.
    async fn lift_revocations(&self, user: &UserId, cause: RevocationCause) -> Result<u64, StoreError>;
    /// Every revocation that still matters at `now`, in the order they were remembered.
    async fn revocations(&self, now: UnixTime) -> Result<Vec<Revocation>, StoreError>;
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
    /// Per session, or per user for tickets bought without one.
    pub per_buyer: usize,
    /// In all.
    pub total: usize,
}

impl Default for TicketBounds {
    /// 100 for one buyer, 100,000 in all (some 100 MB at most).
    fn default() -> Self {
        Self { per_buyer: 100, total: 100_000 }
    }
}

/// Why a ticket was not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TicketRejected {
    /// The buyer has as many outstanding tickets as one may have.
    TooManyForBuyer,
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
    /// Remember a ticket under its hash until it expires. The number outstanding per session (or, without one, per user) and
    /// in all is bounded (req D8). A second one under the same hash is an error.
    async fn put(
        &self,
        secret: &HashedToken,
        ticket: Ticket,
        now: UnixTime,
    ) -> Result<Result<(), TicketRejected>, StoreError>;
    /// Take the ticket out: of any number at once, exactly one gets it (req D3). Whether it has expired is decided here, by
    /// `now` (req D4).
    async fn redeem(&self, secret: &HashedToken, now: UnixTime) -> Result<RedeemedTicket, StoreError>;
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
    /// Remove records of before `before`; how many. The heads stay.
    async fn reap_audit(&self, before: UnixTime) -> Result<u64, StoreError>;
}
