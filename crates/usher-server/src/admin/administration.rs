//! Carries out operations.

use std::sync::Arc;
use std::time::Duration;

use usher_auth::credential_lifetimes::CredentialLifetimes;
use usher_auth::ids::{ApiKeyId, IssuerName, Role, SessionId, UserId};
use usher_auth::revocation::{Revocation, RevocationCause, RevocationTarget};
use usher_auth::room::{InvalidRoomName, RoomPolicy};
use usher_auth::session::SessionLimits;
use usher_auth::{Clock, Randomness, UnixTime};
use usher_rooms::Rooms;
use usher_store::{Store, StoreError};

use super::backup::BackUp;
use super::done::Done;
use super::{Answer, Operation};
use crate::config::IssuerSettings;
use crate::open_requests::OpenRequests;
use usher_accounts::Revoker;
use usher_accounts::{Busy, PasswordHasher, UnacceptablePassword};
use usher_audit::{AuditError, AuditTrail};

/// What operations need. The command line and the server each put one together.
pub struct Administration {
    /// Users, keys, sessions.
    pub store: Arc<dyn Store>,
    /// Ends what is revoked.
    pub revoker: Arc<dyn Revoker>,
    /// Hashes new passwords.
    pub passwords: PasswordHasher,
    /// The rules that are explained.
    pub rooms: RulesInForce,
    /// The configured issuers' users: what their ids begin with, and the roles that each of them has whatever a token says.
    pub issuers: Vec<IssuerUsers>,
    /// How long sessions last.
    pub session_limits: SessionLimits,
    /// How long credentials live, and so how long revocations are remembered.
    pub lifetimes: CredentialLifetimes,
    /// Most API keys of one user.
    pub most_api_keys: usize,
    /// Copies the store.
    pub backup: Arc<dyn BackUp>,
    /// What is done is recorded.
    pub audit: AuditTrail,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub randomness: Arc<dyn Randomness>,
    /// Held by the operation that is being carried out: each is several steps, and two about one user must not mix.
    pub turn: tokio::sync::Mutex<()>,
    /// Counts the operations that the control socket asks for.
    pub requests: OpenRequests,
}

/// The turn of an operation, which may begin.
#[derive(Debug)]
pub struct OperationTurn<'a> {
    _turn: Option<tokio::sync::MutexGuard<'a, ()>>,
}

/// Longest that an operation waits for its turn. A command waits for its answer longer than this and the operation together take, so that it is never
/// told that nothing happened while something still may.
const TURN_PATIENCE: Duration = Duration::from_secs(20);

/// Where the rules over rooms are.
#[derive(Clone, Debug)]
pub enum RulesInForce {
    /// Those of the running server: a reload replaces them.
    Server(Rooms),
    /// Those of the configuration, where no server runs.
    Configured(RoomPolicy),
}

impl RulesInForce {
    pub(super) fn policy(&self) -> RoomPolicy {
        match self {
            Self::Server(rooms) => rooms.policy(),
            Self::Configured(policy) => policy.clone(),
        }
    }
}

/// What is known of an issuer's users without a token.
#[derive(Clone, Debug)]
pub struct IssuerUsers {
    /// The issuer's name.
    pub name: IssuerName,
    /// What stands before the colon of their ids; `None` if they are local users.
    pub namespace: Option<String>,
    /// The roles that each of them has.
    pub default_roles: Vec<Role>,
}

impl IssuerUsers {
    /// Of the configured issuers.
    pub fn of(issuers: &[IssuerSettings]) -> Vec<Self> {
        let users = |issuer: &IssuerSettings| Self {
            name: issuer.name.clone(),
            namespace: issuer.rules.namespace(),
            default_roles: issuer.rules.default_roles.clone(),
        };
        issuers.iter().map(users).collect()
    }
}

/// Why an operation was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// No user has the id.
    #[error("there is no user {0}")]
    NoSuchUser(UserId),
    /// One has it already.
    #[error("there is a user {0} already")]
    UserExists(UserId),
    /// A colon separates an issuer's name from its subject.
    #[error("{0} cannot be a user of ours: an id must not contain ':'")]
    NotLocal(UserId),
    /// Another issuer's user of that id is banned.
    #[error("{0} is banned: unban that user of another issuer first")]
    Banned(UserId),
    /// Banning is for other issuers' users.
    #[error("{0} is a user of ours: use `usher user disable`")]
    LocalUser(UserId),
    /// There is nothing to lift.
    #[error("{0} is not banned")]
    NotBanned(UserId),
    /// The user has as many keys as one may have.
    #[error(
        "the user {user} has {most} API keys, as many as one may have: revoke one first, or raise limits.per_user.api_keys"
    )]
    TooManyKeys {
        /// Whose.
        user: UserId,
        /// How many one may have.
        most: usize,
    },
    /// The store was not copied.
    #[error("{0}")]
    BackUp(String),
    /// The user is disabled.
    #[error("the user {0} is disabled: enable them first")]
    Disabled(UserId),
    /// The name is too long or has control characters in it.
    #[error("{0}")]
    Text(&'static str),
    /// The password may not be set.
    #[error(transparent)]
    Password(#[from] UnacceptablePassword),
    /// The key would be dead at once, or outlive everybody.
    #[error(
        "a key works for more than 0 seconds and at most 36500 days: without --expires-in it works until it is revoked"
    )]
    Lifetime,
    /// No key has the id.
    #[error("there is no API key {0}")]
    NoSuchKey(ApiKeyId),
    /// No session has the id.
    #[error("there is no session {0}")]
    NoSuchSession(SessionId),
    /// The room's name is none.
    #[error(transparent)]
    Room(#[from] InvalidRoomName),
    /// Too much is being done at once.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// Other operations took too long.
    #[error("other commands were being carried out for {} s: nothing was changed, try again", TURN_PATIENCE.as_secs())]
    NoTurn,
    /// The audit trail cannot be read.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The store cannot be used.
    #[error("{0}: {source}", source = .0.source)]
    Store(#[from] StoreError),
}

impl AdminError {
    /// Its stable name, for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoSuchUser(_) => "no_such_user",
            Self::UserExists(_) => "user_exists",
            Self::NotLocal(_) => "not_local",
            Self::Banned(_) => "user_banned",
            Self::LocalUser(_) => "local_user",
            Self::NotBanned(_) => "not_banned",
            Self::TooManyKeys { .. } => "too_many_keys",
            Self::BackUp(_) => "not_backed_up",
            Self::Disabled(_) => "user_disabled",
            Self::Text(_) => "invalid_text",
            Self::Password(_) => "unacceptable_password",
            Self::Lifetime => "invalid_lifetime",
            Self::NoSuchKey(_) => "no_such_key",
            Self::NoSuchSession(_) => "no_such_session",
            Self::Room(_) => "invalid_room",
            Self::Busy(_) | Self::NoTurn => "busy",
            Self::Audit(_) => "audit_unreadable",
            Self::Store(_) => "unavailable",
        }
    }
}

impl Administration {
    /// Waits until no other operation is being carried out that changes something. Until then nothing has begun, and whoever asked may give up.
    pub async fn turn(&self, operation: &Operation) -> Result<OperationTurn<'_>, AdminError> {
        let turn = match operation {
            // Reading changes nothing, and may take long.
            Operation::TailAudit { .. } | Operation::VerifyAudit { .. } | Operation::BackUp { .. } => None,
            _ => Some(tokio::time::timeout(TURN_PATIENCE, self.turn.lock()).await.map_err(|_| AdminError::NoTurn)?),
        };
        Ok(OperationTurn { _turn: turn })
    }

    /// Carries out one operation in its turn. What it changed is durable, and what it ended has ended, when this returns.
    pub async fn execute(&self, operation: Operation) -> Result<Answer, AdminError> {
        let turn = self.turn(&operation).await?;
        self.execute_in(turn, operation).await
    }

    /// Carries out one operation whose turn it is.
    pub async fn execute_in(&self, turn: OperationTurn<'_>, operation: Operation) -> Result<Answer, AdminError> {
        let _turn = turn;
        let done = Done::by(&operation);
        let answer = self.carry_out(operation).await?;
        if let Some(mut done) = done {
            if let Answer::KeyMade { id, .. } = &answer {
                done.detail = Some(id.to_string());
            }
            self.record(&done);
        }
        Ok(answer)
    }

    async fn carry_out(&self, operation: Operation) -> Result<Answer, AdminError> {
        match operation {
            Operation::AddUser { id, name, roles, password } => self.add_user(id, name, roles, password).await,
            Operation::ListUsers { after, limit } => self.list_users(after.as_ref(), limit).await,
            Operation::DisableUser { id } => self.disable_user(&id).await,
            Operation::EnableUser { id } => self.enable_user(&id).await,
            Operation::RemoveUser { id } => self.remove_user(&id).await,
            Operation::BanUser { id } => self.ban_user(&id).await,
            Operation::UnbanUser { id } => self.unban_user(&id).await,
            Operation::ListBanned { after, limit } => self.list_banned(after.as_ref(), limit).await,
            Operation::BackUp { to } => {
                self.backup.back_up(&to).await.map_err(AdminError::BackUp)?;
                Ok(Answer::Done { connections_ended: 0 })
            }
            Operation::SetPassword { id, password } => self.set_password(&id, password).await,
            Operation::AddKey { user, label, lifetime_seconds } => self.add_key(user, label, lifetime_seconds).await,
            Operation::ListKeys { user } => self.list_keys(user.as_ref()).await,
            Operation::RevokeKey { id } => self.revoke_key(id).await,
            Operation::ListSessions { user } => self.list_sessions(&user).await,
            Operation::TailAudit { limit } => self.tail_audit(limit).await,
            Operation::VerifyAudit { rotated } => self.verify_audit(rotated).await,
            Operation::SetRoles { id, roles } => self.set_roles(&id, roles).await,
            Operation::RevokeSession { id, margin_seconds } => {
                self.revoke_session(id, margin_seconds.map(Duration::from_secs)).await
            }
            Operation::RevokeSessionsOf { user, margin_seconds } => {
                self.revoke_sessions_of(user, margin_seconds.map(Duration::from_secs)).await
            }
            Operation::Explain { user, roles, claims, room, action } => {
                self.explain(user, roles, claims, &room, action).await.map(Answer::Explained)
            }
        }
    }

    pub(super) fn now(&self) -> UnixTime {
        self.clock.now().unix
    }

    /// Revokes for as long as anything that it ends could live.
    pub(super) async fn revoke(&self, target: RevocationTarget, cause: RevocationCause) -> Result<usize, StoreError> {
        self.revoke_with_margin(target, cause, None).await
    }

    /// The same, with a margin in which live connections may bring another credential.
    pub(super) async fn revoke_with_margin(
        &self,
        target: RevocationTarget,
        cause: RevocationCause,
        margin: Option<Duration>,
    ) -> Result<usize, StoreError> {
        let at = self.now();
        let forget_at = self.lifetimes.forget_at(&target, at, margin);
        self.revoker.revoke(&Revocation { target, cause, at, forget_at }, margin).await
    }
}

/// Whether a text may be kept for people to read: not too long, and nothing in it that could take over a terminal (req N4).
pub(super) fn check_text(text: &str, max_bytes: usize, wrong: &'static str) -> Result<(), AdminError> {
    let bad = text.len() > max_bytes || text.chars().any(char::is_control);
    if bad { Err(AdminError::Text(wrong)) } else { Ok(()) }
}
