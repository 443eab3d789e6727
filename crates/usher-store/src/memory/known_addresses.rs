//! Known addresses in memory.

use async_trait::async_trait;
use usher_auth::UnixTime;
use usher_auth::ids::UserId;

use super::MemoryStore;
use super::tables::Tables;
use crate::{HashedAddress, KnownAddress, KnownAddressBounds, KnownAddressStore, StoreError};

#[async_trait]
impl KnownAddressStore for MemoryStore {
    async fn remember_addresses(
        &self,
        addresses: &[KnownAddress],
        bounds: KnownAddressBounds,
    ) -> Result<(), StoreError> {
        let mut tables = self.tables();
        for KnownAddress { user, address, seen_at } in addresses {
            if tables.users.contains_key(user) {
                let seen = tables.known_addresses.entry((user.clone(), *address)).or_insert(*seen_at);
                *seen = (*seen).max(*seen_at);
            }
        }
        for KnownAddress { user, .. } in addresses {
            tables.forget_addresses(bounds.per_user, |of| of == user);
        }
        tables.forget_addresses(bounds.total, |_| true);
        Ok(())
    }

    async fn known_addresses(&self, limit: u32) -> Result<Vec<KnownAddress>, StoreError> {
        let tables = self.tables();
        let all = tables.addresses_by_time(|_| true);
        let beyond = all.len().saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
        let last = all.into_iter().skip(beyond);
        Ok(last.map(|(seen_at, user, address)| KnownAddress { user, address, seen_at }).collect())
    }

    async fn reap_known_addresses(&self, before: UnixTime) -> Result<u64, StoreError> {
        let mut tables = self.tables();
        let reaped = tables.known_addresses.extract_if(.., |_, seen_at| *seen_at < before).count();
        Ok(u64::try_from(reaped).unwrap_or(u64::MAX))
    }
}

impl Tables {
    /// Forget those beyond the `most` seen last of the users that `of` names.
    fn forget_addresses(&mut self, most: usize, of: impl Fn(&UserId) -> bool) {
        let all = self.addresses_by_time(of);
        let beyond = all.len().saturating_sub(most);
        for (_, user, address) in all.into_iter().take(beyond) {
            self.known_addresses.remove(&(user, address));
        }
    }

    fn addresses_by_time(&self, of: impl Fn(&UserId) -> bool) -> Vec<(UnixTime, UserId, HashedAddress)> {
        let of_them = self.known_addresses.iter().filter(|((user, _), _)| of(user));
        let mut all: Vec<_> = of_them.map(|((user, address), seen_at)| (*seen_at, user.clone(), *address)).collect();
        all.sort();
        all
    }
}
