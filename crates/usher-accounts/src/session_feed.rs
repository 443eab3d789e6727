//! What a process knows of sessions, and how it hears of changes that other nodes make.

use std::sync::Arc;

use usher_auth::UnixTime;
use usher_auth::session::SessionLimits;
use usher_axum::{MemoryLimits, SessionState};
use usher_store::{SessionEventReceiver, SessionEvents, Store, StoreError};

/// The state of sessions, loaded, with the events that change it. There is none that was not loaded: a revoked credential must not come back
/// with a restart.
pub struct SessionFeed {
    /// What this process knows of sessions.
    pub state: SessionState,
    /// Tells the other nodes.
    pub events: Arc<dyn SessionEvents>,
    /// What the other nodes tell.
    pub received: Box<dyn SessionEventReceiver>,
    /// The newest moment that the store told of before this process wrote to it.
    pub newest: Option<UnixTime>,
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
        let newest = store.newest_moment().await?;
        Ok(Self { state, events, received, newest })
    }

    /// How many revocations were loaded.
    pub fn revoked(&self) -> usize {
        self.state.revocations().len()
    }
}
