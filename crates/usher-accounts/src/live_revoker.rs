//! Changes of sessions and users in a running server: durable first, then applied here, then told to the other nodes.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use usher_auth::connection::RenewedToken;
use usher_auth::ids::{SessionId, UserId};
use usher_auth::permit::CredentialFacts;
use usher_auth::revocation::{BlockedUser, Revocation, RevocationCause, RevocationTarget};
use usher_auth::session::Session;
use usher_auth::user::User;
use usher_auth::{Clock, UnixTime};
use usher_axum::{Applied, SessionState, Throttle};
use usher_store::{
    ChangedUser, ReceivedEvent, RevocationStore as _, SessionEvent, SessionEvents, SessionUse, StoreError,
    UserStore as _, WriteBehindStore,
};

use crate::revoker::{Revoker, owner};
use usher_audit::{AuditTrail, Record};

/// Longest wait for the other nodes to be told. They read everything again when they are connected again.
const PUBLISH_PATIENCE: Duration = Duration::from_secs(5);

/// What a revoker is made of.
#[derive(Clone)]
pub struct RevokerParts {
    /// Where changes are durable.
    pub store: WriteBehindStore,
    /// What this process knows of sessions.
    pub sessions: SessionState,
    /// Tells the other nodes.
    pub events: Arc<dyn SessionEvents>,
    /// Forgets users who are removed.
    pub throttle: Arc<Throttle>,
    /// What is revoked is recorded.
    pub audit: AuditTrail,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Ends what is revoked, in the store and on the wire. A cheap handle.
#[derive(Clone)]
pub struct LiveRevoker {
    parts: RevokerParts,
}

impl LiveRevoker {
    /// With these parts.
    pub fn new(parts: RevokerParts) -> Self {
        Self { parts }
    }

    /// Takes in a change that is durable already, whether it was made here or on another node.
    fn apply(&self, event: &SessionEvent) -> Applied {
        if let SessionEvent::UserRemoved(user) = event {
            self.parts.throttle.forget_user(user);
        }
        self.parts.sessions.apply(event, self.parts.clock.now())
    }

    /// Takes in a change that was made here, and keeps it for the other nodes: whatever an operation changed counts here before one of them is
    /// told, which may take long.
    fn apply_own(&self, event: SessionEvent, told: &mut Vec<SessionEvent>) -> Applied {
        let applied = self.apply(&event);
        told.push(event);
        applied
    }

    /// Tells the other nodes, in order.
    async fn publish(&self, events: Vec<SessionEvent>) {
        let publishing = async {
            for event in &events {
                self.parts.events.publish(event).await?;
            }
            Ok::<_, StoreError>(())
        };
        match tokio::time::timeout(PUBLISH_PATIENCE, publishing).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::error!(%error, source = %error.source, "other nodes were not told of a change of a session");
            }
            Err(_) => tracing::error!("other nodes were not told of a change of a session: it took too long"),
        }
    }

    /// Takes in what was received from another node.
    pub async fn receive(&self, received: ReceivedEvent) -> Result<(), StoreError> {
        match received {
            ReceivedEvent::Event(event) => {
                let applied = self.apply(&self.as_read_here(*event).await?);
                tracing::debug!(sockets = applied.ended(), "another node's event was applied");
                Ok(())
            }
            ReceivedEvent::Missed => {
                tracing::warn!("events of other nodes were missed: everything about sessions is read again");
                self.parts.sessions.read_again(&self.parts.store, &*self.parts.clock).await
            }
        }
    }

    /// Another node's clock says nothing of when something was read here: which of two records of a user is the later one is decided by a reading
    /// of our own.
    async fn as_read_here(&self, event: SessionEvent) -> Result<SessionEvent, StoreError> {
        if let SessionEvent::UserUnblocked(id) = &event {
            // It may have been blocked again by a node whose event came first.
            let blocked = self.parts.store.blocked_users().await?.into_iter().find(|blocked| blocked.user == *id);
            return Ok(blocked.map_or(event, SessionEvent::UserBlocked));
        }
        if let SessionEvent::Renewed { session, user, mut token } = event {
            // What is known here of the user's roles is later: changes of them are told apart from renewals.
            token.roles_read_at = UnixTime::EPOCH;
            return Ok(SessionEvent::Renewed { session, user, token });
        }
        let SessionEvent::UserChanged { user: User { id, .. }, .. } = event else { return Ok(event) };
        let read_at = self.parts.sessions.begin_reading(&id, self.parts.clock.now().unix);
        Ok(match self.parts.store.user(&id).await? {
            Some(user) => SessionEvent::UserChanged { user, read_at },
            None => SessionEvent::UserRemoved(id),
        })
    }

    /// A session was proved anew: what is open under it goes on for longer.
    pub async fn session_renewed(&self, session: &Session, user: &User, token: RenewedToken) {
        // Where the log-in came from is nothing that other nodes need.
        let session = Session { client_ip: None, user_agent: None, ..session.clone() };
        let renewed = SessionEvent::Renewed { session, user: user.clone(), token };
        // Nothing is taken away by it.
        let _ = self.apply(&renewed);
        self.publish(vec![renewed]).await;
    }

    /// Sessions were used, as this process knows already and the store does now.
    pub async fn sessions_used(&self, uses: Vec<SessionUse>) {
        if !uses.is_empty() {
            self.publish(vec![SessionEvent::Used(uses)]).await;
        }
    }

    /// Whether a credential has ended with its session, its user or by itself: not one that has other roles than the user has now.
    pub fn is_revoked(&self, credential: &CredentialFacts) -> bool {
        self.parts.sessions.revocations().check(credential).is_some_and(RevocationCause::ends_sessions)
    }

    /// Ends what `remembered` means on the wire, and records it.
    fn end(
        &self,
        remembered: &[Revocation],
        owner: Option<&UserId>,
        margin: Option<Duration>,
        told: &mut Vec<SessionEvent>,
    ) -> usize {
        let Some(first) = remembered.first() else { return 0 };
        let applied = self.apply_own(SessionEvent::Revoked { revocations: remembered.to_vec(), margin }, told);
        for (one, connections) in remembered.iter().zip(&applied.ended) {
            // Who logs out is recorded with their request.
            if one.cause != RevocationCause::Logout {
                self.parts.audit.record(Record::revoked(one, owner).connections_ended(*connections));
            }
        }
        tracing::info!(cause = first.cause.as_str(), sockets = applied.ended(), "revoked");
        applied.ended()
    }

    /// The same, and the other nodes are told.
    async fn end_everywhere(
        &self,
        remembered: &[Revocation],
        owner: Option<&UserId>,
        margin: Option<Duration>,
    ) -> usize {
        let mut told = Vec::new();
        let ended = self.end(remembered, owner, margin, &mut told);
        self.publish(told).await;
        ended
    }

    /// Once this returns, what is open goes on with the roles that the user has now, and nothing is delivered under the others.
    ///
    /// Until the change was durable, the old roles may have been read again and put into a token. So what was issued up to now by the wall clock has
    /// the old ones, that of this very millisecond included; and so has what was read up to now, by moments that never go back.
    async fn rights_changed(&self, user: &User, remembered: &[Revocation], told: &mut Vec<SessionEvent>) {
        let now = self.parts.clock.now().unix;
        let issued_before = now.plus(Duration::from_millis(1));
        let target = RevocationTarget::User { user: user.id.clone(), issued_before, except: None };
        let roles = remembered.iter().filter(|one| one.cause == RevocationCause::RolesChanged);
        let later: Vec<_> =
            roles.map(|one| Revocation { target: target.clone(), at: issued_before, ..one.clone() }).collect();
        if !later.is_empty() {
            // A change of roles ends no connection.
            let _ = self.apply_own(SessionEvent::Revoked { revocations: later.clone(), margin: None }, told);
        }
        let read_at = self.parts.sessions.begin_change(now);
        self.apply_own(SessionEvent::UserChanged { user: user.clone(), read_at }, told).taken_in().await;
        for one in &later {
            // The change stands without this, which only moves its moment: it matters if the process ends within the life of a token
            // that was signed just now.
            match self.parts.store.revoke(one).await {
                Ok(remembered) => {
                    self.end(remembered.get(1..).unwrap_or_default(), Some(&user.id), None, told);
                }
                Err(error) => {
                    tracing::warn!(%error, source = %error.source, user = %user.id, "the moment of a change of roles was not moved");
                }
            }
        }
    }
}

#[async_trait]
impl Revoker for LiveRevoker {
    /// Once this returns, the revocation is durable, refuses every later use of what it ends, and nothing more is sent
    /// to or taken from the sockets opened with it. Returns how many sockets those were.
    async fn revoke(&self, revocation: &Revocation, margin: Option<Duration>) -> Result<usize, StoreError> {
        let owner = owner(&self.parts.store, revocation).await?;
        let remembered = self.parts.store.revoke(revocation).await?;
        Ok(self.end_everywhere(&remembered, owner.as_ref(), margin).await)
    }

    fn has_connections(&self, session: &SessionId) -> bool {
        self.parts.sessions.connections().has_session(session)
    }

    async fn carry_out(&self, remembered: &[Revocation], owner: Option<&UserId>) -> usize {
        self.end_everywhere(remembered, owner, None).await
    }

    async fn user_changed(&self, id: &UserId, changed: &ChangedUser) -> usize {
        let mut told = Vec::new();
        let mut ended = 0;
        match &changed.user {
            Some(user) if user.disabled => {
                let blocked = BlockedUser { user: id.clone(), cause: RevocationCause::UserDisabled };
                ended += self.apply_own(SessionEvent::UserBlocked(blocked), &mut told).ended();
            }
            Some(_) => ended += self.apply_own(SessionEvent::UserUnblocked(id.clone()), &mut told).ended(),
            None => {}
        }
        ended += self.end(&changed.revoked, Some(id), None, &mut told);
        match &changed.user {
            Some(user) => self.rights_changed(user, &changed.revoked, &mut told).await,
            None => ended += self.apply_own(SessionEvent::UserRemoved(id.clone()), &mut told).ended(),
        }
        self.publish(told).await;
        ended
    }

    async fn banned(&self, id: &UserId, remembered: &[Revocation]) -> usize {
        let mut told = Vec::new();
        let blocked = BlockedUser { user: id.clone(), cause: RevocationCause::UserBanned };
        let ended = self.apply_own(SessionEvent::UserBlocked(blocked), &mut told).ended();
        let ended = ended + self.end(remembered, Some(id), None, &mut told);
        self.publish(told).await;
        ended
    }

    async fn unbanned(&self, id: &UserId) {
        let mut told = Vec::new();
        let _ = self.apply_own(SessionEvent::UserUnblocked(id.clone()), &mut told);
        self.publish(told).await;
    }

    async fn user_added(&self, id: &UserId) {
        let mut told = Vec::new();
        let _ = self.apply_own(SessionEvent::UserAdded(id.clone()), &mut told);
        self.publish(told).await;
    }
}
