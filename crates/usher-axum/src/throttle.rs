//! Failed credentials, counted over every path that takes one (req K2).

use std::net::IpAddr;
use std::time::Duration;

use moka::sync::Cache;
use parking_lot::Mutex;
use usher_auth::Now;
use usher_auth::refusal::{Refusal, RefusalKind};
use usher_auth::throttle::{FailureCounter, FailureRate};

/// Most accounts and most sources that are counted at once.
const MAX_KEYS: usize = 100_000;
/// How long an account stays open to a source it was used from.
const KNOWN_FOR: Duration = Duration::from_hours(30 * 24);

/// How many failures are let pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureLimits {
    /// On one account.
    pub per_account: FailureRate,
    /// From one source: an address, or a /64 for IPv6.
    pub per_source: FailureRate,
}

impl Default for FailureLimits {
    fn default() -> Self {
        let minute = Duration::from_mins(1);
        Self {
            per_account: FailureRate { failures: 10, per: minute },
            per_source: FailureRate { failures: 60, per: minute },
        }
    }
}

/// Failures of an account are counted apart for each source it is known to, and together for all strangers: a stranger who
/// hammers an account does not keep its owner out.
type AccountKey = (String, Option<IpAddr>);

/// The counters.
#[derive(Debug)]
pub struct Throttle {
    sources: Mutex<FailureCounter<IpAddr>>,
    accounts: Mutex<FailureCounter<AccountKey>>,
    known: Cache<(String, IpAddr), ()>,
}

impl Throttle {
    /// Nobody has failed yet.
    pub fn new(limits: FailureLimits) -> Self {
        Self {
            sources: Mutex::new(FailureCounter::new(limits.per_source, MAX_KEYS)),
            accounts: Mutex::new(FailureCounter::new(limits.per_account, MAX_KEYS)),
            known: Cache::builder().max_capacity(MAX_KEYS as u64).time_to_live(KNOWN_FOR).build(),
        }
    }

    /// May `source` try a credential now?
    pub fn check_source(&self, source: IpAddr, now: Now) -> Result<(), Refusal> {
        refuse(self.sources.lock().must_wait(&source, now), "too many failures from this source")
    }

    /// May `source` try the password of `account` now?
    pub fn check_account(&self, account: &str, source: IpAddr, now: Now) -> Result<(), Refusal> {
        self.check_source(source, now)?;
        let key = self.account_key(account, source);
        refuse(self.accounts.lock().must_wait(&key, now), "too many failures on this account")
    }

    /// A credential of `account` (where it says whose it is) from `source` did not hold.
    pub fn record_failure(&self, account: Option<&str>, source: IpAddr, now: Now) {
        self.sources.lock().record(source, now);
        if let Some(account) = account {
            let key = self.account_key(account, source);
            self.accounts.lock().record(key, now);
        }
    }

    /// `account` was used from `source` with a good credential.
    pub fn record_success(&self, account: &str, source: IpAddr) {
        self.known.insert((account.to_owned(), source), ());
    }

    fn account_key(&self, account: &str, source: IpAddr) -> AccountKey {
        let known = self.known.contains_key(&(account.to_owned(), source));
        (account.to_owned(), known.then_some(source))
    }
}

fn refuse(wait: Option<Duration>, detail: &'static str) -> Result<(), Refusal> {
    match wait {
        None => Ok(()),
        Some(retry_after) => Err(Refusal::new(RefusalKind::Throttled { retry_after }, detail)),
    }
}

#[cfg(test)]
mod tests {
    use usher_auth::UnixTime;

    use super::*;

    const START: Now = Now { monotonic: Duration::from_secs(1), unix: UnixTime::from_seconds(1_760_000_000) };

    #[test]
    fn a_stranger_does_not_lock_the_owner_out() {
        // req K2
        let throttle = Throttle::new(FailureLimits::default());
        let (stranger, home) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        throttle.record_success("alice", home);
        for _ in 0..10 {
            throttle.record_failure(Some("alice"), stranger, START);
        }
        assert!(throttle.check_account("alice", stranger, START).is_err());
        assert!(
            throttle.check_account("alice", IpAddr::from([192, 0, 2, 3]), START).is_err(),
            "all strangers together"
        );
        assert!(throttle.check_account("alice", home, START).is_ok());
        assert!(throttle.check_account("bob", stranger, START).is_ok());
    }

    #[test]
    fn one_guess_on_each_of_many_accounts_is_seen_by_its_source() {
        // req K2
        let throttle = Throttle::new(FailureLimits::default());
        let source = IpAddr::from([192, 0, 2, 1]);
        for account in 0..60 {
            throttle.record_failure(Some(&account.to_string()), source, START);
        }
        assert!(throttle.check_source(source, START).is_err());
    }
}
