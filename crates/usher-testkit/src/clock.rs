//! A clock that runs, and that a test can move.

use std::time::Duration;

use parking_lot::Mutex;
use usher_auth::{Clock, Now, UnixTime};
use usher_axum::ambient::SystemClock;

/// The system's clock, moved by what tests add to it. Timers that are already set do not move with it.
pub struct TestClock {
    system: SystemClock,
    moved: Mutex<Moved>,
}

#[derive(Clone, Copy, Default)]
struct Moved {
    forward: Duration,
    /// How far the wall clock is ahead, in milliseconds.
    wall_ahead: i64,
}

impl TestClock {
    /// In step with the system's.
    pub fn new() -> Self {
        Self { system: SystemClock::new(), moved: Mutex::default() }
    }

    /// Both clocks go forward.
    pub fn advance(&self, by: Duration) {
        self.moved.lock().forward += by;
    }

    /// The wall clock alone is set back.
    pub fn step_wall_back(&self, by: Duration) {
        self.moved.lock().wall_ahead -= millis(by);
    }

    /// The wall clock alone is set forward.
    pub fn step_wall_forward(&self, by: Duration) {
        self.moved.lock().wall_ahead += millis(by);
    }

    /// The wall clock.
    pub fn unix(&self) -> UnixTime {
        self.now().unix
    }
}

impl Default for TestClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for TestClock {
    fn now(&self) -> Now {
        let moved = *self.moved.lock();
        let now = self.system.now().after(moved.forward);
        Now { unix: UnixTime::from_millis(now.unix.as_millis() + moved.wall_ahead), ..now }
    }
}

fn millis(by: Duration) -> i64 {
    i64::try_from(by.as_millis()).expect("a time that can be told")
}
