//! Operations on an in-memory store, and the control socket before a server.

mod control;
mod operations;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use usher_accounts::Revoker;
use usher_auth::credential_lifetimes::CredentialLifetimes;
use usher_auth::ids::{Role, SessionId, UserId};
use usher_auth::revocation::Revocation;
use usher_auth::room::{RoomPattern, RoomPolicy, RoomRule};
use usher_auth::session::SessionLimits;
use usher_auth::{Clock, Now, Randomness, UnixTime};
use usher_axum::ambient::SystemRandomness;
use usher_store::memory::MemoryStore;
use usher_store::{ChangedUser, Store, StoreError};

use super::*;
use usher_accounts::PasswordHasher;
use usher_audit::{AuditKeys, AuditSettings, AuditTrail};

const NOW: UnixTime = UnixTime::from_seconds(1_760_000_000);
const LONGEST: Duration = Duration::from_hours(31 * 24);

/// A clock that stands still.
struct StandingClock;

impl Clock for StandingClock {
    fn now(&self) -> Now {
        Now { monotonic: Duration::from_secs(1), unix: NOW }
    }
}

/// So many connections end with each revocation, as if a server had them.
pub(super) struct Connections(pub(super) Arc<dyn Store>, pub(super) usize);

#[async_trait]
impl Revoker for Connections {
    async fn revoke(&self, revocation: &Revocation, _margin: Option<Duration>) -> Result<usize, StoreError> {
        self.0.revoke(revocation).await.map(|_| self.1)
    }

    fn has_connections(&self, _session: &SessionId) -> bool {
        self.1 > 0
    }

    async fn carry_out(&self, _remembered: &[Revocation], _owner: Option<&UserId>) -> usize {
        self.1
    }

    async fn user_changed(&self, _id: &UserId, _changed: &ChangedUser) -> usize {
        self.1
    }

    async fn banned(&self, _id: &UserId, _remembered: &[Revocation]) -> usize {
        self.1
    }

    async fn unbanned(&self, _id: &UserId) {}

    async fn user_added(&self, _id: &UserId) {}
}

/// A store that is in memory has no file to copy.
struct NoBackUp;

#[async_trait]
impl BackUp for NoBackUp {
    async fn back_up(&self, _to: &Path) -> Result<(), String> {
        Err("it is in memory".to_owned())
    }
}

fn administration() -> Administration {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let randomness: Arc<dyn Randomness> = Arc::new(SystemRandomness);
    let rule = RoomRule {
        pattern: RoomPattern::parse("board-*").expect("a pattern"),
        join: vec!["role:user".parse().expect("a right")],
        publish: vec!["claim:team=blue".parse().expect("a right")],
        typing: vec!["any".parse().expect("a right")],
        presence: usher_auth::room::Presence::Full,
        on_forbidden: usher_auth::room::OnForbidden::Error,
    };
    let (audit, _writer) = AuditTrail::new(
        AuditSettings { sinks: Vec::new(), keep: LONGEST, joins: false },
        Arc::new(MemoryStore::new()),
        AuditKeys::from_secret(&[0; 32]),
        Arc::new(StandingClock),
    );
    Administration {
        audit,
        revoker: Arc::new(Connections(store.clone(), 2)),
        store,
        passwords: PasswordHasher::new(1, randomness.clone()),
        rooms: RulesInForce::Configured(RoomPolicy::new(vec![rule])),
        issuers: Vec::new(),
        session_limits: SessionLimits { idle: Duration::from_hours(24), absolute: Duration::from_hours(30 * 24) },
        lifetimes: CredentialLifetimes {
            access_token: LONGEST,
            ticket: Duration::ZERO,
            issuer_token: LONGEST,
            leeway: Duration::ZERO,
        },
        most_api_keys: 2,
        backup: Arc::new(NoBackUp),
        clock: Arc::new(StandingClock),
        randomness,
        turn: tokio::sync::Mutex::default(),
        requests: crate::open_requests::OpenRequests::default(),
    }
}

fn user(id: &str) -> UserId {
    UserId::new(id).expect("an id")
}

fn password(text: &str) -> NewPassword {
    NewPassword(zeroize::Zeroizing::new(text.to_owned()))
}

fn add_user(id: &str) -> Operation {
    let roles = ["user", "admin", "user"].map(|role| Role::new(role).expect("a role")).to_vec();
    Operation::AddUser { id: user(id), name: format!("The {id}"), roles, password: password("correct horse battery") }
}
