//! Failed credentials, counted over every path that takes one (req K2).

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use parking_lot::Mutex;
use tokio::sync::Notify;
use usher_auth::refusal::{Refusal, RefusalKind};
use usher_auth::throttle::{FailureCounter, FailureRate};
use usher_auth::{Clock, Now};

/// Most accounts and most sources that are counted at once.
const MAX_KEYS: usize = 100_000;
/// How long an account stays open to a source it was used from.
const KNOWN_FOR: Duration = Duration::from_hours(30 * 24);

/// Longest that a try of a password waits for others to be decided: after that it is answered as throttled.
const UNDECIDED_PATIENCE: Duration = Duration::from_secs(5);

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
    /// Under one lock, so that what is allowed is counted before anything else is allowed.
    counters: Mutex<Counters>,
    known: Cache<(String, IpAddr), ()>,
    /// Told whenever an attempt is decided.
    decided: Notify,
}

#[derive(Debug)]
struct Counters {
    sources: FailureCounter<IpAddr>,
    accounts: FailureCounter<AccountKey>,
    /// Attempts counted as failures that may still turn out well, by account. No more than there are [`Attempt`]s.
    undecided_accounts: HashMap<AccountKey, usize>,
    /// The same by source.
    undecided_sources: HashMap<IpAddr, usize>,
}

/// A password that is being tried. It is counted as a failure from the beginning: looking first and counting after would let
/// everything pass that comes between. Dropping it leaves it counted, so that nobody guesses for nothing by hanging up.
#[derive(Debug)]
#[must_use]
pub struct Attempt {
    throttle: Arc<Throttle>,
    account: AccountKey,
    source: IpAddr,
}

impl Throttle {
    /// Nobody has failed yet.
    pub fn new(limits: FailureLimits) -> Self {
        let counters = Counters {
            sources: FailureCounter::new(limits.per_source, MAX_KEYS),
            accounts: FailureCounter::new(limits.per_account, MAX_KEYS),
            undecided_accounts: HashMap::new(),
            undecided_sources: HashMap::new(),
        };
        Self {
            counters: Mutex::new(counters),
            known: Cache::builder().max_capacity(MAX_KEYS as u64).time_to_live(KNOWN_FOR).build(),
            decided: Notify::new(),
        }
    }

    /// Count a try of `account`'s password from `source`, or refuse it before anybody looks at it.
    ///
    /// Where tries that are not decided yet leave no room for one more, it waits for them, but for no longer than
    /// five seconds: a crowd that knows its password is not taken for one that guesses.
    pub async fn attempt(
        self: &Arc<Self>,
        account: &str,
        source: IpAddr,
        clock: &dyn Clock,
    ) -> Result<Attempt, Refusal> {
        let decided = async {
            loop {
                let mut decided = pin!(self.decided.notified());
                // Before the look at the counters: a decision after it must not be missed.
                decided.as_mut().enable();
                match self.try_attempt(account, source, clock.now()) {
                    Err(Full::Undecided(_)) => decided.await,
                    Err(Full::Failures(refusal)) => return Err(refusal),
                    Ok(attempt) => return Ok(attempt),
                }
            }
        };
        match tokio::time::timeout(UNDECIDED_PATIENCE, decided).await {
            Ok(answer) => answer,
            Err(_) => self.try_attempt(account, source, clock.now()).map_err(Full::into_refusal),
        }
    }

    fn try_attempt(self: &Arc<Self>, account: &str, source: IpAddr, now: Now) -> Result<Attempt, Full> {
        let known = self.known.contains_key(&(account.to_owned(), source));
        let account: AccountKey = (account.to_owned(), known.then_some(source));
        let mut counters = self.counters.lock();
        let refused = match (counters.sources.must_wait(&source, now), counters.accounts.must_wait(&account, now)) {
            (None, None) => None,
            (Some(wait), _) => {
                Some((wait, counters.undecided_sources.contains_key(&source), "too many failures from this source"))
            }
            (None, Some(wait)) => {
                Some((wait, counters.undecided_accounts.contains_key(&account), "too many failures on this account"))
            }
        };
        if let Some((wait, undecided, detail)) = refused {
            let refusal = Refusal::new(RefusalKind::Throttled { retry_after: wait }, detail);
            return Err(if undecided { Full::Undecided(refusal) } else { Full::Failures(refusal) });
        }
        counters.sources.record(source, now);
        counters.accounts.record(account.clone(), now);
        *counters.undecided_sources.entry(source).or_default() += 1;
        *counters.undecided_accounts.entry(account.clone()).or_default() += 1;
        drop(counters);
        Ok(Attempt { throttle: self.clone(), account, source })
    }

    /// A credential of `account` (where it says whose it is) from `source` did not hold. The error says that there have been too
    /// many already.
    pub fn record_failure(&self, account: Option<&str>, source: IpAddr, now: Now) -> Result<(), Refusal> {
        let known = |account: &str| self.known.contains_key(&(account.to_owned(), source));
        let account = account.map(|account| (account.to_owned(), known(account).then_some(source)));
        let mut counters = self.counters.lock();
        let wait = counters.sources.must_wait(&source, now);
        counters.sources.record(source, now);
        if let Some(account) = account {
            counters.accounts.record(account, now);
        }
        drop(counters);
        wait.map_or(Ok(()), |retry_after| {
            Err(Refusal::new(RefusalKind::Throttled { retry_after }, "too many failures from this source"))
        })
    }
}

impl Attempt {
    /// The password was right: it was no failure, and the account is known to be used from there.
    pub fn succeeded(self, now: Now) {
        self.throttle.known.insert((self.account.0.clone(), self.source), ());
        self.give_back(now);
    }

    /// Nobody looked at the password.
    pub fn give_back(self, now: Now) {
        let mut counters = self.throttle.counters.lock();
        counters.sources.give_back(&self.source, now);
        counters.accounts.give_back(&self.account, now);
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let mut counters = self.throttle.counters.lock();
        one_less(&mut counters.undecided_sources, &self.source);
        one_less(&mut counters.undecided_accounts, &self.account);
        drop(counters);
        self.throttle.decided.notify_waiters();
    }
}

fn one_less<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

/// Why there is no room for one more try.
enum Full {
    /// There would be if one of those under way turned out well.
    Undecided(Refusal),
    /// There have been too many failures.
    Failures(Refusal),
}

impl Full {
    fn into_refusal(self) -> Refusal {
        match self {
            Self::Undecided(refusal) | Self::Failures(refusal) => refusal,
        }
    }
}

#[cfg(test)]
mod tests {
    use usher_auth::UnixTime;

    use super::*;

    const START: Now = Now { monotonic: Duration::from_secs(1), unix: UnixTime::from_seconds(1_760_000_000) };

    fn fail(throttle: &Arc<Throttle>, account: &str, source: IpAddr) {
        drop(throttle.try_attempt(account, source, START).map_err(Full::into_refusal).expect("room"));
    }

    fn may(throttle: &Arc<Throttle>, account: &str, source: IpAddr) -> bool {
        throttle.try_attempt(account, source, START).is_ok_and(|attempt| {
            attempt.give_back(START);
            true
        })
    }

    #[test]
    fn a_stranger_does_not_lock_the_owner_out() {
        // req K2
        let throttle = Arc::new(Throttle::new(FailureLimits::default()));
        let (stranger, home) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let at_home = throttle.try_attempt("alice", home, START).map_err(Full::into_refusal).expect("room");
        at_home.succeeded(START);
        for _ in 0..10 {
            fail(&throttle, "alice", stranger);
        }
        assert!(!may(&throttle, "alice", stranger));
        assert!(!may(&throttle, "alice", IpAddr::from([192, 0, 2, 3])), "all strangers together");
        assert!(may(&throttle, "alice", home));
        assert!(may(&throttle, "bob", stranger));
    }

    #[test]
    fn one_guess_on_each_of_many_accounts_is_seen_by_its_source() {
        // req K2
        let throttle = Arc::new(Throttle::new(FailureLimits::default()));
        let source = IpAddr::from([192, 0, 2, 1]);
        for account in 0..60 {
            assert!(throttle.record_failure(Some(&account.to_string()), source, START).is_ok());
        }
        assert!(throttle.record_failure(None, source, START).is_err());
        assert!(!may(&throttle, "alice", source));
    }

    #[test]
    fn a_try_counts_from_its_beginning_until_it_turns_out_well() {
        // req K2
        let throttle = Arc::new(Throttle::new(FailureLimits::default()));
        let source = IpAddr::from([192, 0, 2, 1]);
        let begin = || throttle.try_attempt("alice", source, START);
        let mut tries: Vec<Attempt> = (0..10).map(|_| begin().map_err(Full::into_refusal).expect("room")).collect();
        assert!(matches!(begin(), Err(Full::Undecided(_))), "one of the ten may be good");
        tries.pop().expect("a try").succeeded(START);
        tries.push(begin().map_err(Full::into_refusal).expect("it was, and made room"));
        // Now the owner is known there, and the strangers' count is another.
        drop(tries);
        let counters = throttle.counters.lock();
        assert!(counters.undecided_accounts.is_empty() && counters.undecided_sources.is_empty());
    }
}
