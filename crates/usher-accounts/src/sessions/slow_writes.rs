//! How long writing the first use of a refresh token took, where that was long: nobody has the successor before.

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

/// Slow writes that ended a short while ago. A cheap handle.
#[derive(Clone, Debug)]
pub(super) struct SlowWrites {
    remembered_for: Duration,
    took: Arc<Mutex<HashMap<HashedToken, Took>>>,
}

#[derive(Clone, Copy, Debug)]
struct Took {
    long: Duration,
    /// By the process's own clock.
    ended: Duration,
}

/// A write that has begun.
pub(super) struct Writing<'a> {
    writes: &'a SlowWrites,
    token: HashedToken,
    begun: Now,
}

impl SlowWrites {
    /// For tokens that may be retried for so long.
    pub(super) fn new(window: Duration) -> Self {
        Self { remembered_for: window, took: Arc::default() }
    }

    /// The first use of this token is being written.
    pub(super) fn begin(&self, token: &HashedToken, now: Now) -> Writing<'_> {
        Writing { writes: self, token: *token, begun: now }
    }

    /// How long the write of its first use took, if that was long and is no longer ago than it may be retried.
    pub(super) fn of(&self, token: &HashedToken, now: Now) -> Duration {
        let took = self.took.lock();
        let remembered = took.get(token).filter(|took| self.remembers(took, now));
        remembered.map_or(Duration::ZERO, |took| took.long)
    }

    fn remembers(&self, took: &Took, now: Now) -> bool {
        now.monotonic.saturating_sub(took.ended) <= self.remembered_for
    }
}

impl Writing<'_> {
    /// It has ended, well or not.
    pub(super) fn end(self, now: Now) {
        let long = now.monotonic.saturating_sub(self.begun.monotonic);
        if long < LONG {
            return;
        }
        let mut took = self.writes.took.lock();
        if took.len() >= MOST {
            took.retain(|_, took| self.writes.remembers(took, now));
        }
        if took.len() < MOST {
            took.insert(self.token, Took { long, ended: now.monotonic });
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
        assert_eq!(writes.of(&slow, at(5)), Duration::ZERO, "it goes on");
        other.end(at(0));
        one.end(at(12));
        assert_eq!(writes.of(&quick, at(12)), Duration::ZERO);
        for then in [12, 22] {
            assert_eq!(writes.of(&slow, at(then)), Duration::from_secs(12));
        }
        assert_eq!(writes.of(&slow, at(23)), Duration::ZERO);
    }
}
