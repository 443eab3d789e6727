//! How long writing the first use of a refresh token takes, where that is long: its client cannot have the successor before.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use usher_auth::Now;
use usher_auth::secret::HashedToken;

/// A write that takes no longer is not remembered.
const LONG: Duration = Duration::from_millis(500);
/// Most that are remembered. A slow store cannot have written more in the time for which one is.
const MOST: usize = 10_000;

/// Writes that go on, and slow ones that ended a short while ago. A cheap handle.
#[derive(Clone, Debug)]
pub(super) struct SlowWrites {
    remembered_for: Duration,
    known: Arc<Mutex<HashMap<HashedToken, Known>>>,
}

/// What is known of a write, by the process's own clock.
#[derive(Clone, Copy, Debug)]
enum Known {
    /// Others may read already what it wrote: SQLite moves its log into the file in the course of a commit.
    GoesOn { begun: Duration },
    /// It took so long.
    Slow { took: Duration, ended: Duration },
}

/// A write that has begun. Dropped without [`Writing::end`], nothing is known of it.
pub(super) struct Writing<'a> {
    writes: &'a SlowWrites,
    token: HashedToken,
    begun: Duration,
    /// No earlier write of the token is known.
    first: bool,
}

impl SlowWrites {
    /// For tokens that may be retried for so long.
    pub(super) fn new(window: Duration) -> Self {
        Self { remembered_for: window, known: Arc::default() }
    }

    /// The first use of this token is being written.
    pub(super) fn begin(&self, token: &HashedToken, now: Now) -> Writing<'_> {
        let begun = now.monotonic;
        let mut known = self.known.lock();
        // A retry that is written behind a slow first use is answered at once, and says nothing of that one.
        let first = known.get(token).is_none_or(|known| !self.remembers(known, now));
        if first {
            known.insert(*token, Known::GoesOn { begun });
        }
        Writing { writes: self, token: *token, begun, first }
    }

    /// How long the write of its first use has taken, if it goes on, or was slow and ended no longer ago than it may be retried.
    pub(super) fn of(&self, token: &HashedToken, now: Now) -> Duration {
        match self.known.lock().get(token) {
            Some(Known::GoesOn { begun }) => now.monotonic.saturating_sub(*begun),
            Some(known @ Known::Slow { took, .. }) if self.remembers(known, now) => *took,
            _ => Duration::ZERO,
        }
    }

    fn remembers(&self, known: &Known, now: Now) -> bool {
        match known {
            Known::GoesOn { .. } => true,
            Known::Slow { ended, .. } => now.monotonic.saturating_sub(*ended) <= self.remembered_for,
        }
    }
}

impl Writing<'_> {
    /// It has ended, well or not.
    pub(super) fn end(self, now: Now) {
        let took = now.monotonic.saturating_sub(self.begun);
        if took < LONG || !self.first {
            return;
        }
        let mut known = self.writes.known.lock();
        if known.len() >= MOST {
            known.retain(|_, known| self.writes.remembers(known, now));
        }
        if known.len() < MOST {
            known.insert(self.token, Known::Slow { took, ended: now.monotonic });
        }
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        let mut known = self.writes.known.lock();
        if self.first && matches!(known.get(&self.token), Some(Known::GoesOn { .. })) {
            known.remove(&self.token);
        }
    }
}

#[cfg(test)]
mod tests {
    use usher_auth::UnixTime;

    use super::*;

    fn at(seconds: u64) -> Now {
        Now { monotonic: Duration::from_secs(seconds), unix: UnixTime::EPOCH }
    }

    #[test]
    fn a_slow_write_is_remembered_for_as_long_as_its_token_may_be_retried() {
        let writes = SlowWrites::new(Duration::from_secs(10));
        let (slow, quick) = (HashedToken::from_bytes([1; 32]), HashedToken::from_bytes([2; 32]));
        let (one, other) = (writes.begin(&slow, at(0)), writes.begin(&quick, at(0)));
        assert_eq!(writes.of(&slow, at(5)), Duration::from_secs(5), "it goes on");
        other.end(at(0));
        one.end(at(12));
        assert_eq!(writes.of(&quick, at(12)), Duration::ZERO);
        for then in [12, 22] {
            assert_eq!(writes.of(&slow, at(then)), Duration::from_secs(12));
        }
        assert_eq!(writes.of(&slow, at(23)), Duration::ZERO);
        let (first, retry) = (writes.begin(&slow, at(30)), writes.begin(&slow, at(31)));
        first.end(at(35));
        retry.end(at(35));
        assert_eq!(writes.of(&slow, at(36)), Duration::from_secs(5), "of the first use");
        writes.begin(&slow, at(37)).end(at(37));
        assert_eq!(writes.of(&slow, at(38)), Duration::from_secs(5));
        drop(writes.begin(&quick, at(24)));
        assert_eq!(writes.of(&quick, at(25)), Duration::ZERO, "nothing is known of it");
    }
}
