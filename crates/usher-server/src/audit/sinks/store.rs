//! The store as a sink: records and the chain's head in one transaction.

use std::fmt;
use std::sync::Arc;

use usher_store::{AuditEntry, AuditStore, StoreError};

use super::super::{AuditKeys, Chain};
use super::Rendered;

/// The name of the store's chain.
pub(in super::super) const CHAIN: &str = "store";

/// Writes to the store.
pub(in super::super) struct StoreSink {
    store: Arc<dyn AuditStore>,
    keys: AuditKeys,
    /// Once it is known how far it has got.
    chain: Option<Chain>,
}

impl StoreSink {
    pub(in super::super) fn new(store: Arc<dyn AuditStore>, keys: AuditKeys) -> Self {
        Self { store, keys, chain: None }
    }

    pub(super) async fn append(&mut self, records: &[Rendered]) -> Result<(), StoreError> {
        let mut chain = match self.chain.take() {
            Some(chain) => chain,
            None => Chain::new(CHAIN, &self.keys, self.store.audit_head(CHAIN).await?),
        };
        let entries = records.iter().map(|(at, json)| {
            let line = chain.append(json);
            AuditEntry { number: chain.head().number, at: *at, line }
        });
        let entries: Vec<AuditEntry> = entries.collect();
        // After an error it is asked again how far the chain has got: the commit may have happened.
        self.store.append_audit(CHAIN, &chain.head(), &entries).await?;
        self.chain = Some(chain);
        Ok(())
    }
}

impl fmt::Debug for StoreSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreSink").finish_non_exhaustive()
    }
}
