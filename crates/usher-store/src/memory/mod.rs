//! The in-memory implementation: a [`MemoryStore`] that forgets when the process ends, and [`MemoryTickets`], which is where one
//! node keeps its tickets.

use async_trait::async_trait;
use parking_lot::{Mutex, MutexGuard};

use self::tables::Tables;
use crate::{Store, StoreError};

mod api_keys;
mod audit;
mod known_addresses;
mod refresh_tokens;
mod revocations;
mod sessions;
mod tables;
mod users;

mod session_events;

mod expiring;
mod tickets;

pub use session_events::MemorySessionEvents;
pub use tickets::MemoryTickets;

/// Everything durable, kept in memory alone: for tests, and for trying things out.
#[derive(Debug, Default)]
pub struct MemoryStore {
    // Every method locks once and awaits nothing, so that each is atomic, like a transaction.
    tables: Mutex<Tables>,
}

impl MemoryStore {
    /// With nothing in it.
    pub fn new() -> Self {
        Self::default()
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock()
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::AuditStore;

    #[expect(clippy::unused_async, reason = "the suite awaits the making of a store")]
    async fn empty() -> (Arc<dyn Store>, ()) {
        (Arc::new(MemoryStore::new()), ())
    }

    crate::store_conformance!(empty);

    #[expect(clippy::unused_async, reason = "the suite awaits the making of a store")]
    async fn empty_trail() -> (Arc<dyn AuditStore>, ()) {
        (Arc::new(MemoryStore::new()), ())
    }

    crate::audit_conformance!(empty_trail);
}
