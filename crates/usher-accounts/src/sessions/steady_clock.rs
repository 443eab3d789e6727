//! Moments of the wall clock that never go back.

use std::time::Duration;

use parking_lot::Mutex;
use usher_auth::{Now, UnixTime};

/// Goes on with the process's own clock where the wall clock is set back, so that what two moments are apart has passed between them.
///
/// A wall clock that was ahead leaves it ahead. So its moments are compared with each other and with nothing else.
#[derive(Debug)]
pub(super) struct SteadyClock {
    latest: Mutex<Now>,
}

impl SteadyClock {
    /// Not before `newest`, the newest moment that the store told of: a process that ended may have been ahead. If it was, the time that
    /// has passed since is unknown and counts as more than `gap`.
    pub(super) fn new(now: Now, newest: Option<UnixTime>, gap: Duration) -> Self {
        let after = |newest: UnixTime| newest.plus(gap).plus(Duration::from_millis(1));
        let unix = newest.filter(|newest| *newest > now.unix).map_or(now.unix, after);
        Self { latest: Mutex::new(Now { unix, ..now }) }
    }

    /// The moment of `now`.
    pub(super) fn read(&self, now: Now) -> UnixTime {
        let mut latest = self.latest.lock();
        let passed = now.monotonic.saturating_sub(latest.monotonic);
        let unix = latest.unix.plus(passed).max(now.unix);
        // A reading that was overtaken by another moves nothing.
        if passed > Duration::ZERO || unix > latest.unix {
            *latest = Now { monotonic: latest.monotonic.max(now.monotonic), unix };
        }
        unix
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAP: Duration = Duration::from_secs(10);

    fn at(passed: u64, wall: i64) -> Now {
        Now { monotonic: Duration::from_secs(passed), unix: UnixTime::from_seconds(wall) }
    }

    #[test]
    fn what_two_moments_are_apart_has_passed() {
        let clock = SteadyClock::new(at(0, 1_000), None, GAP);
        let seconds = |passed, wall| clock.read(at(passed, wall)).as_seconds();
        assert_eq!(seconds(10, 1_010), 1_010);
        assert_eq!(seconds(11, 500), 1_011, "set back");
        assert_eq!(seconds(21, 510), 1_021);
        assert_eq!(seconds(19, 508), 1_021, "overtaken");
        assert_eq!(seconds(22, 5_000), 5_000, "set forward");
        assert_eq!(seconds(25, 1_025), 5_003, "and right");
        let clock = SteadyClock::new(at(7, 1_000), Some(UnixTime::from_seconds(999)), GAP);
        assert_eq!(clock.read(at(9, 1_002)).as_seconds(), 1_002, "the process before was not ahead");
        // req L2: what that process gave is no longer to be taken for a moment ago.
        let clock = SteadyClock::new(at(7, 1_000), Some(UnixTime::from_seconds(1_030)), GAP);
        assert_eq!(clock.read(at(9, 1_002)).as_millis(), 1_042_001, "the process before was ahead");
    }
}
