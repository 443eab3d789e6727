//! A clock that stands still until it is moved.

use std::time::Duration;

use parking_lot::Mutex;
use usher_auth::{Clock, Now, UnixTime};

/// Both clocks, moved together.
pub(crate) struct MovableClock(Mutex<Now>);

impl MovableClock {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Now { monotonic: Duration::from_secs(1000), unix: UnixTime::from_seconds(1_800_000_000) }))
    }

    pub(crate) fn advance(&self, span: Duration) {
        let mut now = self.0.lock();
        *now = now.after(span);
    }

    /// The wall clock alone: the other one never goes back.
    pub(crate) fn set_back(&self, span: Duration) {
        let mut now = self.0.lock();
        now.unix = now.unix.minus(span);
    }
}

impl Clock for MovableClock {
    fn now(&self) -> Now {
        *self.0.lock()
    }
}
