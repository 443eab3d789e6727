//! The one home of the system's clocks and of its randomness.

use std::time::{Instant, SystemTime};

use usher_auth::{Clock, Now, Randomness, UnixTime};

/// The system's two clocks.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// Counts monotonic time from now on.
    #[expect(clippy::disallowed_methods, reason = "the one home of the monotonic clock")]
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one home of the wall clock")]
    fn now(&self) -> Now {
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Now {
            monotonic: self.start.elapsed(),
            unix: UnixTime::from_millis(i64::try_from(unix.as_millis()).unwrap_or(i64::MAX)),
        }
    }
}

/// The system's cryptographically secure random source.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandomness;

impl Randomness for SystemRandomness {
    /// # Panics
    /// When the system has no randomness to give: without it no secret can be made, and going on would be worse.
    #[expect(clippy::disallowed_methods, reason = "the one home of randomness")]
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the system gives random bytes");
    }
}
