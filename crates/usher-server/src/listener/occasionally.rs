//! What may happen with each connection, but is logged now and then.

use std::time::Duration;

use usher_auth::Clock as _;
use usher_axum::ambient::SystemClock;

/// Between two log lines about one thing.
const EVERY: Duration = Duration::from_mins(1);

/// Says when to log, and how often it was not logged since the last time.
pub(super) struct Occasionally {
    clock: SystemClock,
    logged_at: Option<Duration>,
    unlogged: u64,
}

impl Occasionally {
    pub(super) fn new() -> Self {
        Self { clock: SystemClock::new(), logged_at: None, unlogged: 0 }
    }

    /// It happened. If it is time to log that, how often it happened before without being logged.
    pub(super) fn happened(&mut self) -> Option<u64> {
        self.happened_at(self.clock.now().monotonic)
    }

    fn happened_at(&mut self, now: Duration) -> Option<u64> {
        if self.logged_at.is_some_and(|logged_at| now.saturating_sub(logged_at) < EVERY) {
            self.unlogged += 1;
            return None;
        }
        self.logged_at = Some(now);
        Some(std::mem::take(&mut self.unlogged))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_logged_and_then_one_a_minute() {
        let mut errors = Occasionally::new();
        let second = Duration::from_secs;
        assert_eq!(errors.happened_at(second(5)), Some(0));
        for at in 6..65 {
            assert_eq!(errors.happened_at(second(at)), None);
        }
        assert_eq!(errors.happened_at(second(65)), Some(59));
        assert_eq!(errors.happened_at(second(66)), None);
    }
}
