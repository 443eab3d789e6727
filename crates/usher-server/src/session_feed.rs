//! What a process knows of sessions, and how it hears of changes that other nodes make.

use std::sync::Arc;

use usher_auth::session::SessionLimits;
use usher_axum::{MemoryLimits, SessionState};
use usher_store::{SessionEventReceiver, SessionEvents, Store, StoreError};

/// The state of sessions, loaded, with the events that change it. There is none that was not loaded: a revoked credential must not come back
/// with a restart.
pub struct SessionFeed {
    pub(crate) state: SessionState,
    pub(crate) events: Arc<dyn SessionEvents>,
    pub(crate) received: Box<dyn SessionEventReceiver>,
}

impl SessionFeed {
    /// Subscribes to the events of other nodes and then loads what the store remembers, so that no change falls between.
    pub async fn begin(
        store: &dyn Store,
        events: Arc<dyn SessionEvents>,
        limits: SessionLimits,
        memory: MemoryLimits,
    ) -> Result<Self, StoreError> {
        let received = events.subscribe().await?;
        let state = SessionState::load(store, limits, memory).await?;
        Ok(Self { state, events, received })
    }

    /// How many revocations were loaded.
    pub fn revoked(&self) -> usize {
        self.state.revocations().len()
    }
}
