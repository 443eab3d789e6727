//! Revocation: remembered first, then carried to every live connection it ends.

use std::sync::Arc;

use parking_lot::RwLock;
use usher_auth::Now;
use usher_auth::ids::UserId;
use usher_auth::permit::CredentialFacts;
use usher_auth::revocation::{Revocation, RevocationCause, RevocationIndex};
use usher_auth::time::UnixTime;

use crate::budget::ConnectionLimits;
use crate::mailbox::ConnectionHandle;
use crate::registry::{Registration, Registry};

/// The revocations that matter and the connections they could end. A cheap handle.
///
/// Nothing falls between: [`Revocations::apply`] writes the index and then looks for connections; a connection registers and then
/// asks the index again. Whichever order the two run in, one of them sees the other (req H5).
#[derive(Clone, Debug, Default)]
pub struct Revocations {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    index: RwLock<RevocationIndex>,
    registry: Arc<Registry>,
}

impl Revocations {
    /// Take in what the store remembers, at start.
    pub fn load(&self, revocations: &[Revocation]) {
        let mut index = self.shared.index.write();
        for revocation in revocations {
            index.insert(revocation);
        }
    }

    /// Refuse what `revocation` ends from now on, and end the live connections opened with it. Returns how many those are. On
    /// return nothing more is queued for them, and nothing will be.
    pub fn apply(&self, revocation: &Revocation, now: Now) -> usize {
        self.shared.index.write().insert(revocation);
        let mut ended = 0;
        for handle in self.shared.registry.find(&revocation.target) {
            if let Some(cause) = handle.facts().and_then(|facts| self.check(&facts)) {
                handle.revoke(cause, now);
                ended += 1;
            }
        }
        ended
    }

    /// Take back what `cause` did to `user`.
    pub fn lift(&self, user: &UserId, cause: RevocationCause) {
        self.shared.index.write().lift(user, cause);
    }

    /// Drop what no longer matters.
    pub fn forget(&self, now: UnixTime) {
        self.shared.index.write().forget(now);
    }

    /// Decide with the index held still. Nothing may be awaited in `decide`.
    pub fn with_index<T>(&self, decide: impl FnOnce(&RevocationIndex) -> T) -> T {
        decide(&self.shared.index.read())
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.shared.registry.len()
    }

    /// Every open connection.
    pub fn live(&self) -> Vec<Arc<ConnectionHandle>> {
        self.shared.registry.all()
    }

    /// Why this credential is revoked, if it is.
    pub fn check(&self, facts: &CredentialFacts) -> Option<RevocationCause> {
        self.shared.index.read().check(facts)
    }

    /// Put a connection where revocations find it, then look whether one already meant it. `None` if its user or session has as
    /// many connections as they may.
    pub(crate) fn register(
        &self,
        handle: &Arc<ConnectionHandle>,
        facts: &Arc<CredentialFacts>,
        limits: ConnectionLimits,
        now: Now,
    ) -> Option<Registration> {
        let registration = self.shared.registry.register(handle, facts.clone(), limits)?;
        if let Some(cause) = self.check(facts) {
            handle.revoke(cause, now);
        }
        Some(registration)
    }
}
