//! The store as a sink: records and the chain's head in one transaction.

use std::fmt;
use std::sync::Arc;

use usher_store::{AuditEntry, AuditStore, ChainHead, StoreError};

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
    /// So many of the next call's records are written already: the commits of calls that failed happened all the same.
    done: usize,
    /// What was being appended when an error came: how many of the records would be done, and how far the chain would have got.
    attempt: Option<(usize, ChainHead)>,
}

impl StoreSink {
    pub(in super::super) fn new(store: Arc<dyn AuditStore>, keys: AuditKeys) -> Self {
        Self { store, keys, chain: None, done: 0, attempt: None }
    }

    pub(super) async fn append(&mut self, records: &[Rendered]) -> Result<(), StoreError> {
        let mut chain = match self.chain.take() {
            Some(chain) => chain,
            None => {
                // After an error it is asked how far the chain has got.
                let head = self.store.audit_head(CHAIN).await?;
                if let Some((done, _)) = self.attempt.take().filter(|(_, end)| head == Some(*end)) {
                    self.done = done;
                }
                Chain::new(CHAIN, &self.keys, head)
            }
        };
        let entries = records.iter().skip(self.done).map(|(at, json)| {
            let line = chain.append(json);
            AuditEntry { number: chain.head().number, at: *at, line }
        });
        let entries: Vec<AuditEntry> = entries.collect();
        if !entries.is_empty() {
            self.attempt = Some((records.len(), chain.head()));
            self.store.append_audit(CHAIN, &chain.head(), &entries).await?;
        }
        (self.chain, self.done, self.attempt) = (Some(chain), 0, None);
        Ok(())
    }
}

impl fmt::Debug for StoreSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreSink").finish_non_exhaustive()
    }
}
