//! The one home of this crate's clock and randomness. Everything else takes them as arguments.

use std::time::Duration;

use tokio::time::Instant;

/// Counts from when the service was made. Built on tokio's clock, so that a test with paused time moves it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "the one home of this crate's clock; it cannot know Usher's")]
    pub(crate) fn new() -> Self {
        Self { start: Instant::now() }
    }

    /// Since the service was made.
    pub(crate) fn now(self) -> Duration {
        self.start.elapsed()
    }

    /// Waits until then.
    pub(crate) async fn sleep_until(self, then: Duration) {
        tokio::time::sleep_until(self.start + then).await;
    }
}

/// What `/info` gives a browser that has no good randomness of its own.
///
/// # Panics
/// When the system has no randomness to give.
#[expect(clippy::disallowed_methods, reason = "the one home of this crate's randomness; it cannot know Usher's")]
pub(crate) fn entropy() -> u32 {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    u32::from_ne_bytes(bytes)
}
