//! When users were read from the store, by moments that never go back.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use usher_auth::UnixTime;

/// Moments of readings: of two, the later one has the later moment, whatever the wall clock said meanwhile.
///
/// A connection keeps the moment of the reading that its roles are from, and a change of roles must be later than all of these, or the connection
/// would take itself to know better. A wall clock that was ahead and is set right goes back; these moments stay ahead until it has caught up.
#[derive(Debug, Default)]
pub(super) struct Readings {
    /// In milliseconds of Unix time.
    latest: AtomicI64,
}

impl Readings {
    /// A reading begins. It has every change up to `changed_at`, which another node may have made by a clock of its own.
    pub(super) fn begin(&self, now: UnixTime, changed_at: Option<UnixTime>) -> UnixTime {
        let at = changed_at.map_or(now, |changed_at| changed_at.max(now)).as_millis();
        UnixTime::from_millis(self.latest.fetch_max(at, Ordering::SeqCst).max(at))
    }

    /// Roles are used that were read at this moment: when a token was signed.
    pub(super) fn note(&self, read_at: UnixTime) {
        self.latest.fetch_max(read_at.as_millis(), Ordering::SeqCst);
    }

    /// The moment of a change that is durable: every earlier reading may lack it.
    pub(super) fn change(&self, now: UnixTime) -> UnixTime {
        let later = |latest: i64| UnixTime::from_millis(latest).max(now).plus(Duration::from_millis(1));
        let latest =
            self.latest.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |latest| Some(later(latest).as_millis()));
        later(latest.unwrap_or_else(|latest| latest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> UnixTime {
        UnixTime::from_seconds(seconds)
    }

    #[test]
    fn a_change_is_later_than_every_reading_before_it_and_no_later_than_those_after_it() {
        // req G5: the wall clock is an hour ahead, set right, and set back.
        let readings = Readings::default();
        let mut last = UnixTime::EPOCH;
        for now in [0, 3_600, 0, 1, -5, 4_000, 3] {
            let before = readings.begin(at(now), None);
            assert!(before >= last, "{now}");
            let change = readings.change(at(now));
            assert!(change > before && change > at(now), "{now}");
            last = readings.begin(at(now), None);
            assert!(last >= change, "{now}");
        }
        readings.note(at(9_000));
        assert!(readings.change(at(3)) > at(9_000), "a token that was signed by a clock that was ahead");
        assert_eq!(readings.begin(at(3), Some(at(9_500))), at(9_500), "a change that another node made");
    }
}
