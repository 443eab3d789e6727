//! Time and randomness as arguments: the types that carry them in, and the traits their owners implement.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A moment on the wall clock, in milliseconds since the Unix epoch.
///
/// Used for what outlives the process or is shown to others: `exp`, session limits, audit. Deadlines inside one process use
/// [`Now::monotonic`], which no clock step can move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixTime(i64);

impl UnixTime {
    /// The epoch itself.
    pub const EPOCH: Self = Self(0);
    /// The latest moment we reckon with: 9999-12-31T23:59:59Z. Later ones are clamped to it.
    pub const MAX: Self = Self(253_402_300_799_000);

    /// From milliseconds since the epoch, clamped to `0..=MAX`.
    pub const fn from_millis(millis: i64) -> Self {
        if millis < 0 {
            Self::EPOCH
        } else if millis > Self::MAX.0 {
            Self::MAX
        } else {
            Self(millis)
        }
    }

    /// From whole seconds since the epoch, clamped to `0..=MAX`.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self::from_millis(seconds.saturating_mul(1000))
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down: the unit of `exp` and of every time on the wire.
    pub const fn as_seconds(self) -> i64 {
        self.0 / 1000
    }

    /// This moment plus `span`, clamped to [`UnixTime::MAX`].
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self::from_millis(self.0.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// This moment minus `span`, clamped to the epoch.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self::from_millis(self.0.saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }
}

impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_seconds())
    }
}

/// One reading of both clocks, taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Since an arbitrary start that never changes within a process; never goes back.
    pub monotonic: Duration,
    /// The wall clock.
    pub unix: UnixTime,
}

impl Now {
    /// The same pair of clocks, `span` later: how tests move time.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self { monotonic: self.monotonic + span, unix: self.unix.plus(span) }
    }

    /// The monotonic deadline that lies at wall-clock `moment`, as far as this reading can tell.
    pub fn deadline(self, moment: UnixTime) -> Duration {
        self.monotonic + moment.since(self.unix)
    }
}

/// Whoever may read the clocks. The system's is in usher-axum; tests bring one they can move.
pub trait Clock: Send + Sync + 'static {
    /// Read both clocks.
    fn now(&self) -> Now;
}

/// Whoever may draw random bytes. The system's is in usher-axum.
pub trait Randomness: Send + Sync + 'static {
    /// Fill `bytes` from a cryptographically secure source.
    fn fill(&self, bytes: &mut [u8]);
}

impl dyn Randomness {
    /// `N` fresh random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn far_future_is_clamped() {
        // req H2
        assert_eq!(UnixTime::from_seconds(i64::MAX), UnixTime::MAX);
        assert_eq!(UnixTime::MAX.plus(Duration::MAX), UnixTime::MAX);
        assert_eq!(UnixTime::from_millis(-1), UnixTime::EPOCH);
    }
}
