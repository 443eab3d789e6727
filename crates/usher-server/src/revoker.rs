//! Revocation in a running server: durable first, then carried to every live socket.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use usher_auth::Clock;
use usher_auth::connection::SessionRenewal;
use usher_auth::ids::UserId;
use usher_auth::revocation::{Revocation, RevocationCause, RevocationTarget};
use usher_auth::secret::HashedToken;
use usher_axum::{CredentialVerifier, Revocations};
use usher_store::{Store, StoreError};

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

    /// A user's roles changed: what is open goes on with those they have now.
    async fn roles_changed(&self, id: &UserId) -> Result<(), StoreError> {
        self.verifier.forget_user(id);
        let read_at = self.clock.now().unix;
        if let Some(user) = self.store.user(id).await? {
            self.revocations.user_changed(&Arc::new(user), read_at);
        }
        Ok(())
    }
}

#[async_trait]
impl Revoker for LiveRevoker {
    /// Once this returns, the revocation is durable, refuses every later use of what it ends, and nothing more is sent
    /// to or taken from the sockets opened with it. Returns how many sockets those were.
    async fn revoke(&self, revocation: &Revocation, margin: Option<Duration>) -> Result<usize, StoreError> {
        let owner = owner(&*self.store, revocation).await?;
        let remembered = self.store.revoke(revocation).await?;
        if let (RevocationCause::UserDeleted, RevocationTarget::User { user, .. }) =
            (revocation.cause, &revocation.target)
        {
            self.verifier.parts().throttle.forget_user(user);
        }
        let now = self.clock.now();
        let mut ended = 0;
        for (number, one) in remembered.iter().enumerate() {
            // The first reaches all connections of the others, and asks each of them once.
            let connections = if number > 0 && margin.is_some() {
                self.revocations.remember(one);
                0
            } else {
                self.revocations.apply(one, margin, now)
            };
            // Who logs out is recorded with their request.
            if one.cause != RevocationCause::Logout {
                self.audit.record(Record::revoked(one, owner.as_ref()).connections_ended(connections));
            }
            ended += connections;
        }
        tracing::info!(cause = revocation.cause.as_str(), sockets = ended, "revoked");
        if let (RevocationCause::RolesChanged, RevocationTarget::User { user, .. }) =
            (revocation.cause, &revocation.target)
        {
            self.roles_changed(user).await?;
        }
        Ok(ended)
    }

    async fn lift(&self, user: &UserId, cause: RevocationCause) -> Result<(), StoreError> {
        self.store.lift_revocations(user, cause).await?;
        self.revocations.lift(user, cause);
        self.verifier.forget_user(user);
        Ok(())
    }

    fn user_changed(&self, user: &UserId) {
        self.verifier.forget_user(user);
    }
}
