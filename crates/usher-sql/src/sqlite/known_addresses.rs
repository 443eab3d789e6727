//! Known addresses.

use std::collections::BTreeSet;

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use usher_auth::UnixTime;
use usher_auth::ids::UserId;
use usher_store::{HashedAddress, KnownAddress, KnownAddressBounds, KnownAddressStore, StoreError};

use super::SqlStore;
use super::rows::{Columns, During, RowError, read_all};

#[async_trait]
impl KnownAddressStore for SqlStore {
    async fn remember_addresses(
        &self,
        addresses: &[KnownAddress],
        bounds: KnownAddressBounds,
    ) -> Result<(), StoreError> {
        let context = "remembering addresses";
        let most = |bound: usize| i64::try_from(bound).unwrap_or(i64::MAX);
        let mut writing = self.write(context).await?;
        for KnownAddress { user, address, seen_at } in addresses {
            let insert = sqlx::query(
                "INSERT INTO known_addresses (user_id, address, seen_at)
                 SELECT id, ?, ? FROM users WHERE id = ?
                 ON CONFLICT (user_id, address) DO UPDATE SET seen_at = max(seen_at, excluded.seen_at)",
            )
            .bind(&address.as_bytes()[..])
            .bind(seen_at.as_millis())
            .bind(user.as_str());
            writing.execute(insert).await?;
        }
        let users: BTreeSet<&UserId> = addresses.iter().map(|known| &known.user).collect();
        for user in users {
            let delete = sqlx::query(
                "DELETE FROM known_addresses WHERE user_id = ?1 AND address IN (
                     SELECT address FROM known_addresses WHERE user_id = ?1
                     ORDER BY seen_at DESC, address DESC LIMIT -1 OFFSET ?2)",
            )
            .bind(user.as_str())
            .bind(most(bounds.per_user));
            writing.execute(delete).await?;
        }
        let delete = sqlx::query(
            "DELETE FROM known_addresses WHERE (user_id, address) IN (
                 SELECT user_id, address FROM known_addresses
                 ORDER BY seen_at DESC, user_id DESC, address DESC LIMIT -1 OFFSET ?)",
        )
        .bind(most(bounds.total));
        writing.execute(delete).await?;
        writing.commit().await
    }

    async fn known_addresses(&self, limit: u32) -> Result<Vec<KnownAddress>, StoreError> {
        let context = "listing addresses";
        let rows = sqlx::query(
            "SELECT user_id, address, seen_at FROM (
                 SELECT user_id, address, seen_at FROM known_addresses
                 ORDER BY seen_at DESC, user_id DESC, address DESC LIMIT ?)
             ORDER BY seen_at, user_id, address",
        )
        .bind(limit)
        .fetch_all(self.reader(context)?)
        .await
        .during(context)?;
        read_all(rows, read_address, context)
    }

    async fn reap_known_addresses(&self, before: UnixTime) -> Result<u64, StoreError> {
        let context = "removing addresses that were not used for long";
        self.delete(sqlx::query("DELETE FROM known_addresses WHERE seen_at < ?").bind(before.as_millis()), context)
            .await
    }
}

fn read_address(row: &SqliteRow) -> Result<KnownAddress, RowError> {
    Ok(KnownAddress {
        user: row.id("user_id", UserId::new)?,
        address: HashedAddress::from_bytes(*row.hash("address")?.as_bytes()),
        seen_at: row.time("seen_at")?,
    })
}
