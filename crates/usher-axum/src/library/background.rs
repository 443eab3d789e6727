//! What an [`Usher`](super::Usher) does by itself.

use std::time::Duration;

use tokio::time::sleep;
use usher_store::{RevocationStore as _, StoreError};

use super::parts::UsherParts;
use crate::passed_time::PassedTime;

/// How often the last uses of sessions are written. A process that is killed loses those of so long.
const WRITE_USES_EVERY: Duration = Duration::from_secs(5);
/// How often revocations are forgotten that no credential can meet any more.
const FORGET_EVERY: Duration = Duration::from_mins(5);

/// Until it is dropped.
pub(super) async fn run(parts: UsherParts) {
    tokio::join!(parts.issuer_keys.keep_fresh(), write_uses(&parts), forget(&parts));
}

async fn write_uses(parts: &UsherParts) {
    loop {
        sleep(WRITE_USES_EVERY).await;
        if let Err(error) = parts.store.flush().await {
            tracing::warn!(%error, source = %error.source, "uses of sessions could not be written; it will be tried again");
        }
    }
}

async fn forget(parts: &UsherParts) {
    let passed = PassedTime::new(parts.clock().now(), None, &parts.lifetimes);
    loop {
        sleep(FORGET_EVERY).await;
        if let Err(error) = forget_once(parts, &passed).await {
            tracing::warn!(%error, source = %error.source, "old revocations could not be removed; it will be tried again");
        }
    }
}

async fn forget_once(parts: &UsherParts, passed: &PassedTime) -> Result<(), StoreError> {
    let passed = passed.at(parts.clock().now()).revocations;
    parts.state.revocations().forget(passed);
    parts.store.reap_revocations(passed).await.map(|_| ())
}

/// Closes every connection, and writes what is not written yet.
pub(super) async fn drain(parts: &UsherParts, limit: Duration) {
    parts.door.begin_drain();
    crate::drain(parts.state.connections(), || 0, limit, &*parts.door.parts().randomness).await;
    if let Err(error) = parts.store.flush().await {
        tracing::error!(%error, source = %error.source, "uses of sessions are lost");
    }
}
