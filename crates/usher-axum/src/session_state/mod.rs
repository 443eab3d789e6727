//! What this process knows of sessions: what is revoked, what was looked up, and which connections are open. All three change by
//! [`SessionEvent`]s alone, whether a change was made here or on another node.

mod log_in;
mod read_again;
mod readings;

use std::sync::Arc;

use usher_auth::api_key::ApiKey;
use usher_auth::connection::{RenewedToken, SessionRenewal};
use usher_auth::ids::UserId;
use usher_auth::revocation::{Revocation, RevocationTarget};
use usher_auth::session::{Session, SessionLimits};
use usher_auth::user::User;
use usher_auth::{Now, UnixTime};
use usher_store::{SessionEvent, SessionUse, Store, StoreError};

pub use self::log_in::BegunLogIn;
use self::readings::Readings;
use crate::session_memory::{Memory, MemoryLimits};
use crate::{LiveConnections, PendingChange, RevocationList};

/// What this process knows of sessions. A cheap handle.
#[derive(Clone)]
pub struct SessionState {
    shared: Arc<Shared>,
}

struct Shared {
    revocations: RevocationList,
    connections: LiveConnections,
    sessions: Memory<Session>,
    api_keys: Memory<ApiKey>,
    readings: Readings,
    limits: SessionLimits,
}

/// What an event did here.
#[derive(Debug, Default)]
#[must_use = "a change is in force on open connections once it is taken in"]
pub struct Applied {
    /// How many connections each of the revocations ended, or asked for another credential; of another event one number.
    pub ended: Vec<usize>,
    /// The change of rights that connections were told of.
    pub change: Option<PendingChange>,
}

impl Applied {
    /// How many connections were ended in all.
    pub fn ended(&self) -> usize {
        self.ended.iter().sum()
    }

    /// Waits until every connection goes on with the change.
    pub async fn taken_in(self) {
        if let Some(change) = self.change {
            change.taken_in().await;
        }
    }
}

impl SessionState {
    /// With the revocations that the store remembers. Where other nodes change the store, their events are subscribed to before.
    pub async fn load(store: &dyn Store, limits: SessionLimits, memory: MemoryLimits) -> Result<Self, StoreError> {
        let revocations = RevocationList::load(store).await?;
        let shared = Shared {
            connections: LiveConnections::new(revocations.clone()),
            revocations,
            sessions: Memory::new(memory),
            api_keys: Memory::new(memory),
            readings: Readings::default(),
            limits,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// What is revoked.
    pub fn revocations(&self) -> &RevocationList {
        &self.shared.revocations
    }

    /// The connections that are open.
    pub fn connections(&self) -> &LiveConnections {
        &self.shared.connections
    }

    /// How long sessions last.
    pub fn limits(&self) -> SessionLimits {
        self.shared.limits
    }

    /// The moment of a reading of a user that begins now. A change of roles that is known here is in what is read, whatever the clocks say: of
    /// this machine, and of the node that made the change.
    pub fn begin_reading(&self, user: &UserId, now: UnixTime) -> UnixTime {
        let changed_at = self.shared.revocations.with_index(|index| index.roles_changed_at(user));
        self.shared.readings.begin(now, changed_at)
    }

    /// Whether what was read about a user at `read_at` says what roles they have now, as far as is known here.
    pub fn is_current(&self, user: &UserId, read_at: UnixTime) -> bool {
        !self.shared.revocations.with_index(|index| index.roles_changed_after(user, read_at))
    }

    /// The moment of a change of a user that is durable now, for [`SessionEvent::UserChanged`]: later than that of every reading before.
    pub fn begin_change(&self, now: UnixTime) -> UnixTime {
        self.shared.readings.change(now)
    }

    /// Roles are about to be used that were read at this moment.
    pub(crate) fn note_reading(&self, read_at: UnixTime) {
        self.shared.readings.note(read_at);
    }

    pub(crate) fn sessions(&self) -> &Memory<Session> {
        &self.shared.sessions
    }

    pub(crate) fn api_keys(&self) -> &Memory<ApiKey> {
        &self.shared.api_keys
    }

    /// Takes in a change that is durable already. On return it counts for every later use of a credential, and nothing more is sent to or
    /// taken from connections that it ends.
    ///
    /// In this order: the list, what is remembered, the connections. So a verification that uses what was remembered before meets the list, and
    /// a connection that registers meanwhile is found or asks the list after it was written (req H5).
    pub fn apply(&self, event: &SessionEvent, now: Now) -> Applied {
        let Shared { revocations, connections, .. } = &*self.shared;
        match event {
            SessionEvent::Revoked { revocations: revoked, margin } => {
                // All of it counts before a connection is looked for: the first target finds the connections of the others, whose sessions are
                // what ends.
                revocations.insert(revoked);
                for one in revoked {
                    self.forget(one);
                }
                let end = |(number, one): (usize, &Revocation)| {
                    // With a margin, each connection is asked once.
                    let asked = number > 0 && margin.is_some();
                    if asked { 0 } else { connections.end(one, *margin, now) }
                };
                Applied { ended: revoked.iter().enumerate().map(end).collect(), change: None }
            }
            SessionEvent::Renewed { session, user, token } => {
                self.renewed(session, user, token);
                Applied::default()
            }
            SessionEvent::Used(uses) => {
                for used in uses {
                    self.used(used);
                }
                Applied::default()
            }
            SessionEvent::UserChanged { user, read_at } => {
                // Before the connections: one that registers meanwhile with an earlier reading is found, or asks the list after this.
                revocations.roles_read_before(&user.id, *read_at);
                self.forget_user(&user.id);
                let change = connections.user_changed(&Arc::new(user.clone()), *read_at);
                Applied { change: Some(change), ..Applied::default() }
            }
            SessionEvent::UserBlocked(blocked) => {
                revocations.block(blocked);
                self.forget_user(&blocked.user);
                Applied { ended: vec![connections.end_user(&blocked.user, blocked.cause, now)], change: None }
            }
            SessionEvent::UserUnblocked(user) => {
                revocations.unblock(user);
                self.forget_user(user);
                Applied::default()
            }
            SessionEvent::UserAdded(user) => {
                revocations.unblock(user);
                self.forget_user(user);
                Applied::default()
            }
            SessionEvent::UserRemoved(user) => {
                // That the user was disabled is gone with the user.
                revocations.unblock(user);
                self.forget_user(user);
                Applied::default()
            }
        }
    }

    fn renewed(&self, session: &Session, user: &User, token: &RenewedToken) {
        let seen_at = session.last_seen_at;
        self.shared.sessions.update(&session.id, |known| known.last_seen_at = known.last_seen_at.max(seen_at));
        if let Some(renewal) = SessionRenewal::new(session, user, self.shared.limits, token.clone()) {
            self.shared.connections.session_renewed(&Arc::new(renewal));
        }
    }

    fn used(&self, used: &SessionUse) {
        let seen_at = used.last_seen_at;
        self.shared.sessions.update(&used.session, |known| known.last_seen_at = known.last_seen_at.max(seen_at));
        self.shared.connections.session_used(&used.session, used.expires_at);
    }

    /// Nothing that was looked up about what a revocation ends is used again.
    fn forget(&self, revocation: &Revocation) {
        match &revocation.target {
            RevocationTarget::Session(id) => self.shared.sessions.forget(id),
            RevocationTarget::ApiKey(id) => self.shared.api_keys.forget(id),
            RevocationTarget::User { user, .. } => self.forget_user(user),
            // Tokens are not looked up.
            RevocationTarget::Token(..)
            | RevocationTarget::IssuerSession(..)
            | RevocationTarget::IssuerSubject { .. } => {}
        }
    }

    fn forget_user(&self, user: &UserId) {
        self.shared.sessions.forget_user(user);
        self.shared.api_keys.forget_user(user);
    }
}
