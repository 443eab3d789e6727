//! Revocation in a running server: durable first, then carried to every live socket.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use usher_auth::Clock;
use usher_auth::connection::SessionRenewal;
use usher_auth::ids::{SessionId, UserId};
use usher_auth::permit::CredentialFacts;
use usher_auth::revocation::{BlockedUser, Revocation, RevocationCause, RevocationTarget};
use usher_auth::secret::HashedToken;
use usher_auth::user::User;
use usher_axum::{CredentialVerifier, Revocations};
use usher_store::{ChangedUser, Store, StoreError};

use crate::admin::{Revoker, owner};
use crate::audit::{AuditTrail, Record};

/// Ends what is revoked, in the store and on the wire. A cheap handle.
#[derive(Clone)]
pub struct LiveRevoker {
    store: Arc<dyn Store>,
    revocations: Revocations,
    verifier: Arc<CredentialVerifier>,
    audit: AuditTrail,
    clock: Arc<dyn Clock>,
}

impl LiveRevoker {
    /// Over these.
    pub fn new(
        store: Arc<dyn Store>,
        revocations: Revocations,
        verifier: Arc<CredentialVerifier>,
        audit: AuditTrail,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, revocations, verifier, audit, clock }
    }
}

impl LiveRevoker {
    /// A session was proved anew: what is open under it goes on for longer.
    pub fn session_renewed(&self, secret: &HashedToken, renewal: SessionRenewal) {
        self.verifier.forget_session(secret);
        self.revocations.session_renewed(&Arc::new(renewal));
    }

    /// Whether a credential has ended with its session, its user or by itself: not one that has other roles than the user has now.
    pub fn is_revoked(&self, credential: &CredentialFacts) -> bool {
        self.revocations.check(credential).is_some_and(RevocationCause::ends_sessions)
    }

    /// Ends what `remembered` means on the wire, and records it.
    fn apply(&self, remembered: &[Revocation], owner: Option<&UserId>, margin: Option<Duration>) -> usize {
        let now = self.clock.now();
        // All of it counts before a connection is looked for: the first target finds the connections of the others, whose sessions are
        // what ends.
        for one in remembered {
            self.revocations.remember(one);
        }
        let mut ended = 0;
        for (number, one) in remembered.iter().enumerate() {
            // With a margin, each connection is asked once.
            let asked = number > 0 && margin.is_some();
            let connections = if asked { 0 } else { self.revocations.apply(one, margin, now) };
            // Who logs out is recorded with their request.
            if one.cause != RevocationCause::Logout {
                self.audit.record(Record::revoked(one, owner).connections_ended(connections));
            }
            ended += connections;
        }
        if let Some(first) = remembered.first() {
            tracing::info!(cause = first.cause.as_str(), sockets = ended, "revoked");
        }
        ended
    }

    /// Once this returns, what is open goes on with the roles that the user has now, and nothing is delivered under the others.
    ///
    /// Until the change was durable, the old roles may have been read again and put into a token. So what was read up to now has the
    /// old ones, that of this very millisecond included.
    async fn roles_changed(&self, user: &User, remembered: &[Revocation]) {
        let read_at = self.clock.now().unix.plus(Duration::from_millis(1));
        let target = RevocationTarget::User { user: user.id.clone(), issued_before: read_at, except: None };
        for one in remembered.iter().filter(|one| one.cause == RevocationCause::RolesChanged) {
            let later = Revocation { target: target.clone(), at: read_at, ..one.clone() };
            self.revocations.remember(&later);
            // The change stands without this, which only moves its moment: it matters if the process ends within the life of a token
            // that was signed just now.
            match self.store.revoke(&later).await {
                Ok(remembered) => {
                    self.apply(remembered.get(1..).unwrap_or_default(), Some(&user.id), None);
                }
                Err(error) => {
                    tracing::warn!(%error, source = %error.source, user = %user.id, "the moment of a change of roles was not moved");
                }
            }
        }
        self.verifier.forget_user(&user.id);
        self.revocations.user_changed(&Arc::new(user.clone()), read_at).taken_in().await;
    }
}

#[async_trait]
impl Revoker for LiveRevoker {
    /// Once this returns, the revocation is durable, refuses every later use of what it ends, and nothing more is sent
    /// to or taken from the sockets opened with it. Returns how many sockets those were.
    async fn revoke(&self, revocation: &Revocation, margin: Option<Duration>) -> Result<usize, StoreError> {
        let owner = owner(&*self.store, revocation).await?;
        let remembered = self.store.revoke(revocation).await?;
        Ok(self.apply(&remembered, owner.as_ref(), margin))
    }

    fn has_connections(&self, session: &SessionId) -> bool {
        self.revocations.has_session(session)
    }

    fn carry_out(&self, remembered: &[Revocation], owner: Option<&UserId>) -> usize {
        self.apply(remembered, owner, None)
    }

    async fn user_changed(&self, id: &UserId, changed: &ChangedUser) -> usize {
        let cause = RevocationCause::UserDisabled;
        let mut ended = 0;
        match &changed.user {
            Some(user) if user.disabled => {
                ended += self.revocations.block(&BlockedUser { user: id.clone(), cause }, self.clock.now());
            }
            _ => self.revocations.unblock(id),
        }
        ended += self.apply(&changed.revoked, Some(id), None);
        self.verifier.forget_user(id);
        match &changed.user {
            Some(user) => self.roles_changed(user, &changed.revoked).await,
            None => self.verifier.parts().throttle.forget_user(id),
        }
        ended
    }

    fn banned(&self, id: &UserId, remembered: &[Revocation]) -> usize {
        let blocked = BlockedUser { user: id.clone(), cause: RevocationCause::UserBanned };
        let ended = self.revocations.block(&blocked, self.clock.now());
        self.verifier.forget_user(id);
        ended + self.apply(remembered, Some(id), None)
    }

    fn unbanned(&self, id: &UserId) {
        self.revocations.unblock(id);
    }

    fn user_added(&self, id: &UserId) {
        self.revocations.unblock(id);
        self.verifier.forget_user(id);
    }
}
