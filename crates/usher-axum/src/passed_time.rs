//! The time that has passed for sure, by which expired rows are removed.

use std::time::Duration;

use usher_auth::credential_lifetimes::CredentialLifetimes;
use usher_auth::{Now, UnixTime};

/// Tells how much time has passed for sure, although the wall clock may be ahead by mistake, at the start or later, and be set back: that must not
/// make the server forget what was revoked.
///
/// The store is asked once, at the start. What it tells later says nothing: a log-in writes whatever the wall clock says.
#[derive(Debug)]
pub struct PassedTime {
    started: Now,
    /// The start, by a wall clock that is no further on than the store told of.
    told: Now,
    /// For how long the longest revocation is remembered.
    longest: Duration,
}

/// Up to when rows may be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    /// For sessions, refresh tokens, known addresses and audit records.
    pub rows: UnixTime,
    /// For revocations.
    pub revocations: UnixTime,
}

impl PassedTime {
    /// Begins with the newest moment that the store tells of, if there is one.
    pub fn new(now: Now, newest: Option<UnixTime>, lifetimes: &CredentialLifetimes) -> Self {
        let told = Now { unix: newest.map_or(now.unix, |newest| newest.min(now.unix)), ..now };
        Self { started: now, told, longest: lifetimes.longest() }
    }

    /// The time of the start with what the process has run since; and no more than the wall clock says, which may have been set back.
    ///
    /// If nothing ran for a while before the start, that is behind by so long, and rows stay for so much longer. Not so revocations, of which there may
    /// be many: once the process has run for as long as the longest is remembered, what was revoked before the start has been remembered for
    /// long enough, and what was revoked since was timed by the clock of the start.
    pub fn at(&self, now: Now) -> Passed {
        let ran = now.monotonic.saturating_sub(self.started.monotonic);
        let rows = now.unix.min(self.told.after(ran).unix);
        let revocations = if ran >= self.longest { now.unix.min(self.started.after(ran).unix) } else { rows };
        Passed { rows, revocations }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFETIMES: CredentialLifetimes = CredentialLifetimes {
        access_token: Duration::from_mins(10),
        ticket: Duration::from_secs(30),
        issuer_token: Duration::ZERO,
        leeway: Duration::from_secs(30),
    };
    const DAY: i64 = 86_400;

    fn at(monotonic: u64, seconds: i64) -> Now {
        Now { monotonic: Duration::from_secs(monotonic), unix: unix(seconds) }
    }

    fn unix(seconds: i64) -> UnixTime {
        UnixTime::from_seconds(1_800_000_000 + seconds)
    }

    fn both(seconds: i64) -> Passed {
        Passed { rows: unix(seconds), revocations: unix(seconds) }
    }

    #[test]
    fn a_clock_that_is_ahead_is_not_believed() {
        // req H2
        let passed = PassedTime::new(at(0, 0), None, &LIFETIMES);
        assert_eq!(passed.at(at(0, 0)), both(0), "an empty store has nothing to lose");
        let passed = PassedTime::new(at(0, 0), Some(unix(DAY)), &LIFETIMES);
        assert_eq!(passed.at(at(300, 300)), both(300), "the store was written while the clock was ahead");
        let passed = PassedTime::new(at(0, 10), Some(unix(10)), &LIFETIMES);
        assert_eq!(passed.at(at(300, DAY * 2)), both(310), "a leap");
        assert_eq!(passed.at(at(900, DAY * 400)), both(910), "also for long");
        assert_eq!(passed.at(at(1_200, 1_200)), both(1_200), "set right, and a little behind the store");
        assert_eq!(passed.at(at(1_500, 100)), both(100), "set back");
        let passed = PassedTime::new(at(0, DAY * 2), Some(unix(10)), &LIFETIMES);
        assert_eq!(passed.at(at(300, DAY * 2 + 300)), both(310), "two days ahead at the start");
    }

    #[test]
    fn after_a_time_of_not_running_revocations_are_not_kept_for_so_much_longer() {
        // req H15
        assert_eq!(LIFETIMES.longest(), Duration::from_mins(12));
        let passed = PassedTime::new(at(0, DAY * 7), Some(unix(0)), &LIFETIMES);
        assert_eq!(passed.at(at(719, DAY * 7 + 719)), both(719));
        let caught_up = Passed { rows: unix(720), revocations: unix(DAY * 7 + 720) };
        assert_eq!(passed.at(at(720, DAY * 7 + 720)), caught_up);
        assert_eq!(passed.at(at(720, DAY * 9)), caught_up, "no further than the process has run");
        assert_eq!(passed.at(at(720, DAY)), Passed { revocations: unix(DAY), ..caught_up }, "set right");
    }
}
