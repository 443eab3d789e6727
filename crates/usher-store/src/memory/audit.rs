//! The audit trail in memory.

use async_trait::async_trait;
use usher_auth::UnixTime;

use super::MemoryStore;
use super::tables::Duplicate;
use crate::{AuditEntry, AuditStore, ChainHead, StoreError};

#[async_trait]
impl AuditStore for MemoryStore {
    async fn append_audit(&self, chain: &str, head: &ChainHead, entries: &[AuditEntry]) -> Result<(), StoreError> {
        let mut tables = self.tables();
        let mut numbers: Vec<u64> = entries.iter().map(|entry| entry.number).collect();
        numbers.sort_unstable();
        let twice = numbers.windows(2).any(|pair| pair[0] == pair[1]);
        if twice || numbers.iter().any(|number| tables.audit.contains_key(number)) {
            return Err(StoreError::new("appending to the audit trail", Duplicate));
        }
        tables.audit.extend(entries.iter().map(|entry| (entry.number, entry.clone())));
        tables.audit_heads.insert(chain.to_owned(), *head);
        Ok(())
    }

    async fn audit_head(&self, chain: &str) -> Result<Option<ChainHead>, StoreError> {
        Ok(self.tables().audit_heads.get(chain).copied())
    }

    async fn audit_entries(&self, after: u64, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        let tables = self.tables();
        let rest = tables.audit.range(after.saturating_add(1)..).map(|(_, entry)| entry.clone());
        Ok(rest.take(usize::try_from(limit).unwrap_or(usize::MAX)).collect())
    }

    async fn reap_audit(&self, before: UnixTime, now: UnixTime) -> Result<u64, StoreError> {
        let mut tables = self.tables();
        let beginning = tables.audit.iter().take_while(|(_, entry)| !(before..=now).contains(&entry.at));
        let last_old = beginning.filter(|(_, entry)| entry.at < before).map(|(number, _)| *number).last();
        let kept = last_old.map(|last_old| tables.audit.split_off(&last_old.saturating_add(1)));
        let removed = kept.map_or_else(Default::default, |kept| std::mem::replace(&mut tables.audit, kept));
        Ok(removed.len() as u64)
    }
}
