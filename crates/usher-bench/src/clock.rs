//! The clocks of the generator.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::time::ClockId;

/// Time since the generator first asked.
#[expect(clippy::disallowed_methods, reason = "the one home of this program's monotonic clock")]
pub(crate) fn now() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = *START.get_or_init(Instant::now);
    start.elapsed()
}

/// Time since 1970.
#[expect(clippy::disallowed_methods, reason = "the one home of this program's wall clock")]
pub(crate) fn unix_now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// CPU time of this program, which has one thread.
pub(crate) fn own_cpu() -> Duration {
    ClockId::CLOCK_PROCESS_CPUTIME_ID.now().map_or(Duration::ZERO, Duration::from)
}
