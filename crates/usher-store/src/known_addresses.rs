//! The addresses that accounts were used from, as the store keeps them.

use std::fmt;

use async_trait::async_trait;
use usher_auth::UnixTime;
use usher_auth::ids::UserId;

use crate::StoreError;

/// A keyed hash of an account and an address. Whoever has the store alone learns no address from it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HashedAddress([u8; 32]);

impl HashedAddress {
    /// From whoever has the key, or from the store.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// To the store.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for HashedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashedAddress(…)")
    }
}

/// An address that a user proved their password from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownAddress {
    /// The user.
    pub user: UserId,
    /// The address.
    pub address: HashedAddress,
    /// When it was last noted that they did.
    pub seen_at: UnixTime,
}

/// How many addresses are remembered. Beyond, those seen longest ago are forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownAddressBounds {
    /// Of one user.
    pub per_user: usize,
    /// In all.
    pub total: usize,
}

impl Default for KnownAddressBounds {
    /// 32 of a user, 100,000 in all (some 20 MB at most).
    fn default() -> Self {
        Self { per_user: 32, total: 100_000 }
    }
}

/// The addresses that accounts were used from.
#[async_trait]
pub trait KnownAddressStore: Send + Sync {
    /// In one transaction: remember `addresses`, moving `seen_at` forward and never back, and forget what is beyond `bounds`. Those of
    /// users that are not there (any more) are passed over.
    async fn remember_addresses(
        &self,
        addresses: &[KnownAddress],
        bounds: KnownAddressBounds,
    ) -> Result<(), StoreError>;
    /// Up to `limit` addresses, those seen last, in the order in which they were seen.
    async fn known_addresses(&self, limit: u32) -> Result<Vec<KnownAddress>, StoreError>;
    /// Forget those last seen before `before`; how many.
    async fn reap_known_addresses(&self, before: UnixTime) -> Result<u64, StoreError>;
}
