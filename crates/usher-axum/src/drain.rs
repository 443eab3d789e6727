//! The end of a server: its clients are told to come back elsewhere, batch by batch.

use std::time::Duration;

use usher_auth::Randomness;
use usher_auth::close_code::CloseCause;

use crate::LiveConnections;

/// How often a batch is told.
const BATCH_EVERY: Duration = Duration::from_millis(100);
/// How often it is looked whether all have gone.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Clients are told to come back at moments spread over this, so that they do not come all at once.
const RECONNECT_SPREAD: Duration = Duration::from_secs(5);

/// Tells every connection to end, in batches of random order over the first half of `limit`, and waits until they are gone and have been
/// sent their close frames, but no longer than `limit`. Returns how many are left (req H14).
///
/// `unfetched` counts the clients that fetch what they are told, and have not fetched their close frame.
///
/// No client may be let in meanwhile: see [`crate::Door::begin_drain`].
pub async fn drain(
    connections: &LiveConnections,
    unfetched: impl Fn() -> usize,
    limit: Duration,
    randomness: &dyn Randomness,
) -> usize {
    // In this order: a connection is one of the latter before it is none of the former any more.
    let left = || open(connections) + connections.unwritten() + unfetched();
    let patience = tokio::time::timeout(limit, async {
        tell_all(connections, limit / 2, randomness).await;
        while left() > 0 {
            // A connection that was let in while the batches were told is told now.
            for connection in connections.live() {
                connection.end(CloseCause::Draining, Some(some_of(RECONNECT_SPREAD, randomness)));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    });
    if patience.await.is_err() {
        tracing::warn!(connections = left(), "some clients did not go in time");
    }
    left()
}

async fn tell_all(connections: &LiveConnections, over: Duration, randomness: &dyn Randomness) {
    let mut told: Vec<_> = connections.live().into_iter().map(|one| (randomness.bytes::<8>(), one)).collect();
    told.sort_unstable_by_key(|(order, _)| *order);
    let batches = usize::try_from(over.as_millis() / BATCH_EVERY.as_millis()).unwrap_or(usize::MAX).max(1);
    let size = told.len().div_ceil(batches).max(1);
    let mut batches = told.chunks(size).peekable();
    while let Some(batch) = batches.next() {
        for (_, connection) in batch {
            connection.end(CloseCause::Draining, Some(some_of(RECONNECT_SPREAD, randomness)));
        }
        if batches.peek().is_some() {
            tokio::time::sleep(BATCH_EVERY).await;
        }
    }
}

fn open(connections: &LiveConnections) -> usize {
    connections.count() + connections.waiting()
}

fn some_of(span: Duration, randomness: &dyn Randomness) -> Duration {
    span.mul_f64(f64::from(u16::from_be_bytes(randomness.bytes())) / f64::from(u16::MAX))
}
