//! An application's authenticator, with everything that it knows of sessions and connections.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;
#[cfg(feature = "rooms")]
use usher_auth::Clock;
use usher_auth::ids::{SessionId, UserId};
use usher_auth::revocation::{Revocation, RevocationCause, RevocationTarget};
use usher_store::{RevocationStore as _, SessionEvent, StoreError, WriteBehindStore};

use super::background;
use super::parts::UsherParts;
use crate::sync::Mutex;
use crate::{Door, LiveConnections, SessionState};

/// Authenticates WebSockets, and keeps them authenticated until they end. A clone is cheap, and the same one: put it into the state of the router.
#[derive(Clone)]
pub struct Usher {
    shared: Arc<Shared>,
}

struct Shared {
    parts: UsherParts,
    /// Ended with this.
    background: Mutex<Vec<AbortHandle>>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.background.lock().iter().for_each(AbortHandle::abort);
    }
}

impl Usher {
    pub(super) fn new(parts: UsherParts) -> Self {
        let usher = Self { shared: Arc::new(Shared { parts, background: Mutex::default() }) };
        usher.spawn(background::run(usher.shared.parts.clone()));
        usher
    }

    /// Runs `work` until the last clone of this is dropped.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.shared.background.lock().push(tokio::spawn(work).abort_handle());
    }

    pub(super) fn door(&self) -> &Door {
        &self.shared.parts.door
    }

    #[cfg(feature = "rooms")]
    pub(super) fn clock(&self) -> &Arc<dyn Clock> {
        self.shared.parts.clock()
    }

    /// The connections that are open.
    pub fn connections(&self) -> &LiveConnections {
        self.shared.parts.state.connections()
    }

    /// The store, with the uses of sessions that are not written yet.
    pub fn store(&self) -> &WriteBehindStore {
        &self.shared.parts.store
    }

    /// What is known of sessions here; it takes in events of other processes that write to the same store.
    pub fn sessions(&self) -> &SessionState {
        &self.shared.parts.state
    }

    /// Ends what `target` names. Once this returns, the revocation is in the store, refuses every later use of what it ends, and nothing more is sent to or
    /// taken from the connections that were opened with it, which are closed. Returns how many those were.
    ///
    /// # Errors
    /// If the store cannot be written: nothing has ended then.
    pub async fn revoke(&self, target: RevocationTarget) -> Result<usize, StoreError> {
        let UsherParts { store, state, lifetimes, .. } = &self.shared.parts;
        let clock = self.shared.parts.clock();
        let at = clock.now().unix;
        let forget_at = lifetimes.forget_at(&target, at, None);
        let revocation = Revocation { target, cause: RevocationCause::Administrator, at, forget_at };
        let revocations = store.revoke(&revocation).await?;
        Ok(state.apply(&SessionEvent::Revoked { revocations, margin: None }, clock.now()).ended())
    }

    /// Ends everything that a user has now: see [`Self::revoke`]. What is issued later is good.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn revoke_user(&self, user: &UserId) -> Result<usize, StoreError> {
        let issued_before = self.shared.parts.clock().now().unix;
        self.revoke(RevocationTarget::User { user: user.clone(), issued_before, except: None }).await
    }

    /// Ends a session with its tokens: see [`Self::revoke`].
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn revoke_session(&self, session: &SessionId) -> Result<usize, StoreError> {
        self.revoke(RevocationTarget::Session(session.clone())).await
    }

    /// Closes every connection and lets no other in, so that clients come back elsewhere: for an orderly stop. Returns when all are closed, or after `limit`.
    pub async fn drain(&self, limit: Duration) {
        background::drain(&self.shared.parts, limit).await;
    }
}

impl fmt::Debug for Usher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Usher").field("connections", &self.connections().count()).finish_non_exhaustive()
    }
}
