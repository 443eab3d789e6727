//! Time that only goes forward, made of wall-clock readings that may not.

use usher_auth::UnixTime;

use super::expiring::Moment;

/// Readings that are older than the newest by no more than this, in milliseconds, were taken before it and arrived after it:
/// threads overtake one another. Older ones mean that the clock was stepped back.
const OVERTAKING: i64 = 5_000;

/// Goes forward with the wall clock, and stands still while that is stepped back.
///
/// The greatest reading so far would not do in its place: after a step back (or a leap forward by mistake and back again),
/// everything issued until the wall clock has caught up would be over from the start.
#[derive(Debug, Default)]
pub(super) struct ForwardClock {
    newest: Option<UnixTime>,
    elapsed: Moment,
}

impl ForwardClock {
    /// The moment of a reading.
    pub(super) fn read(&mut self, now: UnixTime) -> Moment {
        let newest = *self.newest.get_or_insert(now);
        let forward = now.as_millis() - newest.as_millis();
        if forward > 0 {
            self.elapsed = self.elapsed.saturating_add(forward.unsigned_abs());
            self.newest = Some(now);
        } else if forward < -OVERTAKING {
            self.newest = Some(now);
        }
        self.elapsed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_goes_back_and_goes_on_after_a_step() {
        let mut clock = ForwardClock::default();
        let mut read = |seconds| clock.read(UnixTime::from_seconds(seconds)) / 1000;
        assert_eq!(read(10_000), 0);
        assert_eq!(read(10_020), 20);
        assert_eq!(read(6_400), 20, "one hour back");
        assert_eq!(read(6_410), 30);
        assert_eq!(read(500_000_000), 30 + 499_993_590, "a leap forward");
        assert_eq!(read(6_420), 30 + 499_993_590, "and back");
        assert_eq!(read(6_421), 31 + 499_993_590);
    }

    #[test]
    fn threads_that_overtake_one_another_do_not_make_it_run_fast() {
        let mut clock = ForwardClock::default();
        for _ in 0..1_000 {
            clock.read(UnixTime::from_millis(10_001));
            clock.read(UnixTime::from_millis(10_000));
        }
        assert_eq!(clock.read(UnixTime::from_millis(10_001)), 0);
    }
}
