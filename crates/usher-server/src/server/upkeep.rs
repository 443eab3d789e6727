//! What a running server does from time to time: rooms' updates, known addresses to the store, expired rows out of it.

use std::future::poll_fn;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use usher_auth::credential_lifetimes::MAX_ACCESS_TOKEN_LIFE;
use usher_axum::{KNOWN_FOR, Passed, Throttle};
use usher_store::{
    KnownAddress, KnownAddressBounds, KnownAddressStore as _, ReceivedEvent, RefreshTokenStore as _,
    RevocationStore as _, SessionStore as _, StoreError,
};

use super::Server;

/// How often the store is given the addresses that accounts were used from. A crash forgets those of so long.
const REMEMBER_ADDRESSES_EVERY: Duration = Duration::from_secs(5);
/// How often the last uses of sessions are written. A process that is killed loses those of so long: a session may then end by its idle limit
/// so much too early.
const WRITE_USES_EVERY: Duration = Duration::from_secs(5);
/// How soon it is tried again to take in what was missed.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How often what is over is removed from the store.
const REAP_EVERY: Duration = Duration::from_mins(5);

impl Server {
    /// Takes in the addresses that accounts were used from before a restart: an account that is being guessed at stays open to them.
    pub async fn load_known_addresses(&self) -> Result<(), StoreError> {
        let most = u32::try_from(KnownAddressBounds::default().total).unwrap_or(u32::MAX);
        self.api.throttle.load_known_addresses(self.store.known_addresses(most).await?);
        Ok(())
    }

    /// Gives the store what is written behind, the addresses that are new and the last uses of sessions: now and then, and once more when
    /// `stopping` is cancelled. A write that has begun by then is finished first.
    pub async fn write_behind(&self, stopping: &CancellationToken) {
        let addresses = until(stopping, REMEMBER_ADDRESSES_EVERY, || self.remember_new_addresses());
        let uses = until(stopping, WRITE_USES_EVERY, || self.write_new_session_uses());
        tokio::join!(addresses, uses);
    }

    /// Gives the store the addresses that are new. What it does not take is offered again the next time.
    pub async fn remember_new_addresses(&self) {
        let mut unsaved = UnsavedAddresses(&self.api.throttle, self.api.throttle.take_new_addresses());
        if unsaved.1.is_empty() {
            return;
        }
        match self.store.remember_addresses(&unsaved.1, KnownAddressBounds::default()).await {
            Ok(()) => unsaved.1.clear(),
            Err(error) => {
                tracing::warn!(%error, source = %error.source, "known addresses could not be saved; it will be tried again");
            }
        }
    }

    /// How many addresses that accounts were used from the store does not have.
    pub fn unsaved_addresses(&self) -> usize {
        self.api.throttle.new_addresses()
    }

    /// Writes the last uses of sessions, and tells the other nodes. What the store does not take is offered again the next time.
    pub async fn write_new_session_uses(&self) {
        match self.store.flush().await {
            Ok(uses) => self.revoker.sessions_used(uses).await,
            Err(error) => {
                tracing::warn!(%error, source = %error.source, "uses of sessions could not be written; it will be tried again");
            }
        }
    }

    /// Takes in what other nodes change. Runs until it is dropped.
    pub async fn receive_events(&self) {
        let mut received = self.received.lock().await;
        loop {
            let mut event = received.next().await;
            while let Err(error) = self.revoker.receive(event).await {
                tracing::error!(%error, source = %error.source, "what was missed could not be read; it will be tried again");
                tokio::time::sleep(READ_AGAIN_AFTER).await;
                event = ReceivedEvent::Missed;
            }
        }
    }

    /// Sends the rooms' updates when they are due. Runs until it is dropped.
    pub async fn update_rooms(&self) {
        loop {
            let due = poll_fn(|context| self.rooms.poll_deadline(context)).await;
            tokio::time::sleep(due.saturating_sub(self.clock.now().monotonic)).await;
            self.rooms.flush(self.clock.now());
        }
    }

    /// Removes what is over, now and then. Runs until it is dropped.
    pub async fn reap(&self) {
        loop {
            tokio::time::sleep(REAP_EVERY).await;
            if let Err(error) = self.reap_once().await {
                tracing::warn!(%error, source = %error.source, "expired rows could not be removed; it will be tried again");
            }
        }
    }

    /// Removes what is over now, by the time that has passed for sure.
    pub async fn reap_once(&self) -> Result<(), StoreError> {
        let Passed { rows: now, revocations } = self.passed.at(self.clock.now());
        self.sessions.revocations().forget(revocations);
        self.audit.reap(now).await?;
        self.store.reap_revocations(revocations).await?;
        // A spent token may be retried for a moment after its end, too.
        self.store.reap_refresh_tokens(now.minus(Duration::from_mins(1))).await?;
        self.store.reap_known_addresses(now.minus(KNOWN_FOR)).await?;
        // A session whose cookie has idled out may still be revived by its refresh token. And one whose tokens may be alive stays, so that
        // it ends by its id when its user's sessions end.
        let idle = self.session_limits.idle.max(self.refresh_ttl) + MAX_ACCESS_TOKEN_LIFE;
        let absolute = self.session_limits.absolute + MAX_ACCESS_TOKEN_LIFE;
        self.store.reap_sessions(now.minus(idle), now.minus(absolute)).await?;
        Ok(())
    }
}

/// Does `work` every so often, and a last time when `stopping` is cancelled.
async fn until<W: Future<Output = ()>>(stopping: &CancellationToken, every: Duration, work: impl Fn() -> W) {
    while stopping.run_until_cancelled(tokio::time::sleep(every)).await.is_some() {
        work().await;
    }
    work().await;
}

/// Addresses on their way to the store. Those that did not arrive are put back, also when nothing waits for it any more.
struct UnsavedAddresses<'a>(&'a Throttle, Vec<KnownAddress>);

impl Drop for UnsavedAddresses<'_> {
    fn drop(&mut self) {
        self.0.put_back_addresses(std::mem::take(&mut self.1));
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::pin::pin;

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_write_that_has_begun_is_finished_when_the_server_stops_and_a_last_one_is_made() {
        // req H14
        let (stopping, go) = (CancellationToken::new(), Notify::new());
        let (begun, done) = (Cell::new(0), Cell::new(0));
        let mut writing = pin!(until(&stopping, Duration::from_secs(5), || async {
            begun.set(begun.get() + 1);
            go.notified().await;
            done.set(done.get() + 1);
        }));
        let first_begins = async {
            while begun.get() == 0 {
                tokio::time::advance(Duration::from_secs(1)).await;
            }
        };
        tokio::select! {
            () = &mut writing => panic!("nothing has stopped it"),
            () = first_begins => {}
        }
        stopping.cancel();
        go.notify_one();
        let rest = async {
            while done.get() == 0 {
                tokio::task::yield_now().await;
            }
            go.notify_one();
        };
        tokio::join!(writing, rest);
        assert_eq!((begun.get(), done.get()), (2, 2));
    }
}
