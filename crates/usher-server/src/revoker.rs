//! Revocation in a running server: durable first, then carried to every live socket.

use std::sync::Arc;

use async_trait::async_trait;
use usher_auth::Clock;
use usher_auth::ids::UserId;
use usher_auth::revocation::{Revocation, RevocationCause};
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

#[async_trait]
impl Revoker for LiveRevoker {
    /// Once this returns, the revocation is durable, refuses every later use of what it ends, and nothing more is sent
    /// to or taken from the sockets opened with it. Returns how many sockets those were.
    async fn revoke(&self, revocation: &Revocation) -> Result<usize, StoreError> {
        let owner = owner(&*self.store, revocation).await?;
        let remembered = self.store.revoke(revocation).await?;
        let now = self.clock.now();
        let mut ended = 0;
        for one in &remembered {
            let connections = self.revocations.apply(one, now);
            // Who logs out is recorded with their request.
            if one.cause != RevocationCause::Logout {
                self.audit.record(Record::revoked(one, owner.as_ref()).connections_ended(connections));
            }
            ended += connections;
        }
        tracing::info!(cause = revocation.cause.as_str(), sockets = ended, "revoked");
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
