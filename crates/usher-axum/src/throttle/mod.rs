//! Failed credentials, counted over every path that takes one, and log-ins, counted by account and source (req K2).

mod known;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use parking_lot::Mutex;
use tokio::sync::Notify;
use usher_auth::ids::UserId;
use usher_auth::refusal::{Refusal, RefusalKind};
use usher_auth::throttle::{AttemptCounter, AttemptRate};
use usher_auth::{Clock, Now};
use usher_store::{KnownAddress, KnownAddressBounds};

use self::known::KnownAddresses;

pub use self::known::KNOWN_FOR;

/// Most accounts and most sources that are counted at once.
const MAX_KEYS: usize = 100_000;

/// Longest that a try of a password waits for others to be decided: after that it is answered as throttled.
const UNDECIDED_PATIENCE: Duration = Duration::from_secs(5);

/// How many failures are let pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureLimits {
    /// On one account.
    pub per_account: AttemptRate,
    /// From one source: an address, or a /64 for IPv6.
    pub per_source: AttemptRate,
}

impl Default for FailureLimits {
    fn default() -> Self {
        let minute = Duration::from_mins(1);
        Self {
            per_account: AttemptRate { attempts: 10, per: minute },
            per_source: AttemptRate { attempts: 60, per: minute },
        }
    }
}

/// How many log-ins with a password may succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginLimits {
    /// On one account.
    pub per_account: AttemptRate,
    /// From one source: an address, or a /64 for IPv6.
    pub per_source: AttemptRate,
}

impl Default for LoginLimits {
    /// An account that a build farm shares logs in 300 times at once; a company behind one address logs in within a minute or two.
    /// Both are less than one core hashes, some 2,000 a minute.
    fn default() -> Self {
        let minute = Duration::from_mins(1);
        Self {
            per_account: AttemptRate { attempts: 300, per: minute },
            per_source: AttemptRate { attempts: 1_200, per: minute },
        }
    }
}

/// Why a password is not looked at.
#[derive(Clone, Debug)]
pub enum AttemptRefused {
    /// There have been too many failures.
    Failures(Refusal),
    /// There have been too many log-ins.
    Logins {
        /// Not before that.
        retry_after: Duration,
        /// For the log and the audit.
        detail: &'static str,
    },
}

/// An account's name as it is counted: hashed, so that a long name takes no more room than a short one.
type AccountName = [u8; 32];

/// Failures of an account are counted apart for each source it is known to, and together for all strangers: a stranger who
/// hammers an account does not keep its owner out.
type AccountKey = (AccountName, Option<IpAddr>);

/// The counters.
#[derive(Debug)]
pub struct Throttle {
    /// Under one lock, so that what is allowed is counted before anything else is allowed.
    counters: Mutex<Counters>,
    known: KnownAddresses,
    /// Told whenever an attempt is decided.
    decided: Notify,
}

#[derive(Debug)]
struct Counters {
    sources: AttemptCounter<IpAddr>,
    accounts: AttemptCounter<AccountKey>,
    login_sources: AttemptCounter<IpAddr>,
    login_accounts: AttemptCounter<AccountName>,
    refresh_accounts: AttemptCounter<AccountName>,
    /// Ends of sessions by a credential that goes on.
    ending_accounts: AttemptCounter<AccountName>,
    /// Attempts counted as failures that may still turn out well, by account. No more than there are [`Attempt`]s.
    undecided_accounts: HashMap<AccountKey, usize>,
    /// The same by source.
    undecided_sources: HashMap<IpAddr, usize>,
}

/// A password that is being tried. It is counted as a failure and as a log-in from the beginning: looking first and counting after
/// would let everything pass that comes between. Dropping it leaves it counted as a failure, so that no guess is free by
/// hanging up.
#[derive(Debug)]
#[must_use]
pub struct Attempt {
    throttle: Arc<Throttle>,
    account: AccountKey,
    source: IpAddr,
    began: Now,
    outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Failed,
    Succeeded,
    /// The password was not looked at.
    GivenBack,
}

impl Throttle {
    /// Nothing has been counted yet, and no address is known. `address_key` hashes the addresses for the store.
    pub fn new(failures: FailureLimits, logins: LoginLimits, address_key: &[u8; 32]) -> Self {
        let counters = Counters {
            sources: AttemptCounter::new(failures.per_source, MAX_KEYS),
            accounts: AttemptCounter::new(failures.per_account, MAX_KEYS),
            login_sources: AttemptCounter::new(logins.per_source, MAX_KEYS),
            login_accounts: AttemptCounter::new(logins.per_account, MAX_KEYS),
            refresh_accounts: AttemptCounter::new(refresh_rate(logins), MAX_KEYS),
            ending_accounts: AttemptCounter::new(refresh_rate(logins), MAX_KEYS),
            undecided_accounts: HashMap::new(),
            undecided_sources: HashMap::new(),
        };
        Self {
            counters: Mutex::new(counters),
            known: KnownAddresses::new(address_key, KnownAddressBounds::default()),
            decided: Notify::new(),
        }
    }

    /// Whether a try of `account`'s password from `source` would be refused whatever becomes of those that are under way. Counts
    /// nothing: it spares a wait that could only end in a refusal.
    pub fn refuses(&self, account: &str, source: IpAddr, now: Now) -> Option<AttemptRefused> {
        let account = self.account_key(account, source, now);
        match self.counters.lock().room(&account, source, now) {
            Err(Full::Refused(refused)) => Some(refused),
            Ok(()) | Err(Full::Undecided(_)) => None,
        }
    }

    /// Count a try of `account`'s password from `source`, or refuse it before the password is looked at.
    ///
    /// Where tries that are not decided yet leave no room for one more, it waits for them, but for no longer than
    /// five seconds: a crowd that knows its password is not taken for one that guesses.
    pub async fn attempt(
        self: &Arc<Self>,
        account: &str,
        source: IpAddr,
        clock: &dyn Clock,
    ) -> Result<Attempt, AttemptRefused> {
        let decided = async {
            loop {
                let mut decided = pin!(self.decided.notified());
                // Before the look at the counters: a decision after it must not be missed.
                decided.as_mut().enable();
                match self.try_attempt(account, source, clock.now()) {
                    Err(Full::Undecided(_)) => decided.await,
                    Err(Full::Refused(refused)) => return Err(refused),
                    Ok(attempt) => return Ok(attempt),
                }
            }
        };
        match tokio::time::timeout(UNDECIDED_PATIENCE, decided).await {
            Ok(answer) => answer,
            Err(_) => self.try_attempt(account, source, clock.now()).map_err(Full::into_refused),
        }
    }

    fn try_attempt(self: &Arc<Self>, account: &str, source: IpAddr, now: Now) -> Result<Attempt, Full> {
        let account = self.account_key(account, source, now);
        let mut counters = self.counters.lock();
        counters.room(&account, source, now)?;
        counters.sources.record(source, now);
        counters.accounts.record(account, now);
        counters.login_sources.record(source, now);
        counters.login_accounts.record(account.0, now);
        *counters.undecided_sources.entry(source).or_default() += 1;
        *counters.undecided_accounts.entry(account).or_default() += 1;
        drop(counters);
        Ok(Attempt { throttle: self.clone(), account, source, began: now, outcome: Outcome::Failed })
    }

    /// Counts a refresh of a session of `user`. If there have been as many as there may be, it is not counted, and the answer is how long to
    /// wait: each is a write, and those of one account must not keep the others waiting.
    pub fn record_refresh(&self, user: &str, now: Now) -> Option<Duration> {
        count(&mut self.counters.lock().refresh_accounts, user, now)
    }

    /// The same for ends of sessions of `user` by a credential that goes on, such as an API key. They are counted apart, so that too many
    /// refreshes do not refuse a log-out.
    pub fn record_session_ends(&self, user: &str, now: Now) -> Option<Duration> {
        count(&mut self.counters.lock().ending_accounts, user, now)
    }

    /// A credential of `account` (where it says whose it is) from `source` did not hold. The error says that there have been too
    /// many already.
    pub fn record_failure(&self, account: Option<&str>, source: IpAddr, now: Now) -> Result<(), Refusal> {
        let account = account.map(|account| self.account_key(account, source, now));
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

    /// The addresses that the store has, the oldest first: what was known before a restart.
    pub fn load_known_addresses(&self, addresses: Vec<KnownAddress>) {
        self.known.load(addresses);
    }

    /// The addresses that the store should be given, which counts as done unless they are put back.
    pub fn take_new_addresses(&self) -> Vec<KnownAddress> {
        self.known.take_unsaved()
    }

    /// How many addresses the store has not been offered yet, or did not take.
    pub fn new_addresses(&self) -> usize {
        self.known.unsaved()
    }

    /// The store did not take these: they are offered again.
    pub fn put_back_addresses(&self, addresses: Vec<KnownAddress>) {
        self.known.put_back(addresses);
    }

    /// The user is gone, and the next of that name is another one.
    pub fn forget_user(&self, user: &UserId) {
        self.known.forget(user);
    }

    fn account_key(&self, account: &str, source: IpAddr, now: Now) -> AccountKey {
        let known = self.known.contains(account, source, now.unix);
        (account_name(account), known.then_some(source))
    }
}

impl Counters {
    /// Whether one more try may begin.
    fn room(&self, account: &AccountKey, source: IpAddr, now: Now) -> Result<(), Full> {
        let failures = match (self.sources.must_wait(&source, now), self.accounts.must_wait(account, now)) {
            (None, None) => None,
            (Some(wait), _) => {
                Some((wait, self.undecided_sources.contains_key(&source), "too many failures from this source"))
            }
            (None, Some(wait)) => {
                Some((wait, self.undecided_accounts.contains_key(account), "too many failures on this account"))
            }
        };
        if let Some((wait, undecided, detail)) = failures {
            let refusal = Refusal::new(RefusalKind::Throttled { retry_after: wait }, detail);
            let refused = AttemptRefused::Failures(refusal);
            return Err(if undecided { Full::Undecided(refused) } else { Full::Refused(refused) });
        }
        let of_account =
            self.login_accounts.must_wait(&account.0, now).map(|wait| (wait, "too many log-ins on this account"));
        let of_source =
            self.login_sources.must_wait(&source, now).map(|wait| (wait, "too many log-ins from this source"));
        match of_account.max(of_source) {
            Some((retry_after, detail)) => Err(Full::Refused(AttemptRefused::Logins { retry_after, detail })),
            None => Ok(()),
        }
    }
}

impl Attempt {
    /// The password was `user`'s: it was no failure, and the account is known to be used from there.
    pub fn succeeded(mut self, user: &UserId, now: Now) {
        self.throttle.known.note(user, self.source, now.unix);
        self.outcome = Outcome::Succeeded;
    }

    /// The password was not looked at.
    pub fn give_back(mut self) {
        self.outcome = Outcome::GivenBack;
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let mut counters = self.throttle.counters.lock();
        if self.outcome != Outcome::Failed {
            counters.sources.give_back(&self.source, self.began);
            counters.accounts.give_back(&self.account, self.began);
        }
        if self.outcome != Outcome::Succeeded {
            counters.login_sources.give_back(&self.source, self.began);
            counters.login_accounts.give_back(&self.account.0, self.began);
        }
        one_less(&mut counters.undecided_sources, &self.source);
        one_less(&mut counters.undecided_accounts, &self.account);
        drop(counters);
        self.throttle.decided.notify_waiters();
    }
}

/// How often one account is refreshed: as often as it may log in, and never less often than by default. A strict setting for log-ins is not
/// meant for the sessions that follow them.
fn refresh_rate(logins: LoginLimits) -> AttemptRate {
    let least = LoginLimits::default().per_account;
    let each = |rate: AttemptRate| rate.per.checked_div(rate.attempts).unwrap_or(Duration::MAX);
    if each(logins.per_account) > each(least) { least } else { logins.per_account }
}

/// Counts one for `user`, or says how long to wait.
fn count(counter: &mut AttemptCounter<AccountName>, user: &str, now: Now) -> Option<Duration> {
    let name = account_name(user);
    let wait = counter.must_wait(&name, now);
    if wait.is_none() {
        counter.record(name, now);
    }
    wait
}

fn account_name(account: &str) -> AccountName {
    let mut name = [0; 32];
    name.copy_from_slice(digest::digest(&digest::SHA256, account.as_bytes()).as_ref());
    name
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
    Undecided(AttemptRefused),
    /// There is none, whatever becomes of those.
    Refused(AttemptRefused),
}

impl Full {
    fn into_refused(self) -> AttemptRefused {
        match self {
            Self::Undecided(refused) | Self::Refused(refused) => refused,
        }
    }
}
