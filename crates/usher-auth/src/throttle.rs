//! Rates of attempts: failed credentials and log-ins, counted per account and per source (req K2).
//!
//! A leaky bucket each, kept as one moment (the generic cell rate algorithm): attempts push it into the future, time lets it
//! fall behind. An account that is guessed at stays open to sources it has been used from before, so that guesses from elsewhere do
//! not lock its owner out.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use crate::time::Now;

/// So many attempts in so long. All of them may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptRate {
    /// At least 1.
    pub attempts: u32,
    /// More than zero.
    pub per: Duration,
}

impl AttemptRate {
    fn interval(self) -> Duration {
        self.per / self.attempts.max(1)
    }
}

/// Attempts counted by key. At most `capacity` keys are held; when more would be, those nearest to being forgotten go first.
#[derive(Debug)]
pub struct AttemptCounter<K> {
    rate: AttemptRate,
    capacity: usize,
    /// For each key, the moment at which all its attempts are forgotten.
    forgotten_at: HashMap<K, Duration>,
}

impl<K: Clone + Eq + Hash> AttemptCounter<K> {
    /// An empty counter.
    pub fn new(rate: AttemptRate, capacity: usize) -> Self {
        Self { rate, capacity: capacity.max(1), forgotten_at: HashMap::new() }
    }

    /// How long `key` must wait before it may try again; `None` if it may now.
    pub fn must_wait<Q>(&self, key: &Q, now: Now) -> Option<Duration>
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let forgotten_at = *self.forgotten_at.get(key)?;
        let limit = now.monotonic + self.rate.per;
        // One more attempt must fit below the limit.
        (forgotten_at + self.rate.interval()).checked_sub(limit).filter(|wait| !wait.is_zero())
    }

    /// Take back one attempt of `key` that was counted before it was known not to count.
    pub fn give_back<Q>(&mut self, key: &Q, now: Now)
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let interval = self.rate.interval();
        if let Some(forgotten_at) = self.forgotten_at.get_mut(key) {
            *forgotten_at = forgotten_at.saturating_sub(interval);
            if *forgotten_at <= now.monotonic {
                self.forgotten_at.remove(key);
            }
        }
    }

    /// Count an attempt of `key`.
    pub fn record(&mut self, key: K, now: Now) {
        if self.forgotten_at.len() >= self.capacity && !self.forgotten_at.contains_key(&key) {
            self.make_room(now);
        }
        let forgotten_at = self.forgotten_at.entry(key).or_insert(now.monotonic);
        // Never further than the limit, so that guessing on while refused does not lengthen the wait without end.
        *forgotten_at = ((*forgotten_at).max(now.monotonic) + self.rate.interval()).min(now.monotonic + self.rate.per);
    }

    fn make_room(&mut self, now: Now) {
        self.forgotten_at.retain(|_, moment| *moment > now.monotonic);
        if self.forgotten_at.len() < self.capacity {
            return;
        }
        let mut moments: Vec<Duration> = self.forgotten_at.values().copied().collect();
        let middle = moments.len() / 2;
        let (_, median, _) = moments.select_nth_unstable(middle);
        let median = *median;
        let mut excess = self.capacity / 2;
        self.forgotten_at.retain(|_, moment| {
            let goes = *moment <= median && excess > 0;
            excess -= usize::from(goes);
            !goes
        });
        if self.forgotten_at.len() >= self.capacity {
            self.forgotten_at.clear();
        }
    }
}

/// How fast a client may send: so many messages at once, and then one an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageRate {
    /// Between two messages in the long run; more than zero.
    pub interval: Duration,
    /// Messages at once; at least 1.
    pub burst: u32,
}

impl Default for MessageRate {
    /// 100 a second, 200 at once.
    fn default() -> Self {
        Self { interval: Duration::from_millis(10), burst: 200 }
    }
}

/// How far one client has used up its rate: the moment at which it has all of it again.
#[derive(Clone, Copy, Debug, Default)]
pub struct MessagePace(Duration);

impl MessagePace {
    /// Count a message. The error is how long to wait before the next.
    pub fn count(&mut self, rate: MessageRate, now: Now) -> Result<(), Duration> {
        let used_up = self.0.max(now.monotonic) + rate.interval;
        let limit = now.monotonic + rate.interval * rate.burst;
        if used_up > limit {
            return Err(used_up.saturating_sub(limit));
        }
        self.0 = used_up;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::UnixTime;

    const START: Now = Now { monotonic: Duration::from_secs(100), unix: UnixTime::from_seconds(1_760_000_000) };

    fn counter() -> AttemptCounter<u32> {
        AttemptCounter::new(AttemptRate { attempts: 10, per: Duration::from_mins(1) }, 100)
    }

    #[test]
    fn ten_failures_a_minute_and_then_one_every_six_seconds() {
        // req K2
        let mut counter = counter();
        for _ in 0..10 {
            assert_eq!(counter.must_wait(&1, START), None);
            counter.record(1, START);
        }
        assert_eq!(counter.must_wait(&1, START), Some(Duration::from_secs(6)));
        assert_eq!(counter.must_wait(&2, START), None, "others are not touched");
        assert_eq!(counter.must_wait(&1, START.after(Duration::from_secs(6))), None);
        for _ in 0..1_000 {
            counter.record(1, START);
        }
        assert_eq!(
            counter.must_wait(&1, START.after(Duration::from_secs(6))),
            None,
            "guessing on does not lock out for ever"
        );
    }

    #[test]
    fn what_is_given_back_was_never_counted() {
        // req K2
        let mut counter = counter();
        for _ in 0..9 {
            counter.record(1, START);
        }
        for _ in 0..1_000 {
            counter.record(1, START);
            assert!(counter.must_wait(&1, START).is_some());
            counter.give_back(&1, START);
            assert_eq!(counter.must_wait(&1, START), None);
        }
        counter.record(1, START);
        assert!(counter.must_wait(&1, START).is_some(), "nine and one are ten");
        let later = START.after(Duration::from_mins(2));
        counter.give_back(&1, later);
        assert!(counter.forgotten_at.is_empty(), "nor does it make room for more than ten");
    }

    #[test]
    fn a_burst_and_then_one_an_interval() {
        // req M11
        let rate = MessageRate { interval: Duration::from_millis(10), burst: 3 };
        let mut pace = MessagePace::default();
        for _ in 0..3 {
            assert_eq!(pace.count(rate, START), Ok(()));
        }
        assert_eq!(pace.count(rate, START), Err(Duration::from_millis(10)));
        assert_eq!(pace.count(rate, START.after(Duration::from_millis(10))), Ok(()));
        assert!(pace.count(rate, START.after(Duration::from_millis(10))).is_err());
    }

    #[test]
    fn memory_is_bounded() {
        // req K2
        let mut counter = counter();
        for key in 0..10_000 {
            counter.record(key, START);
        }
        assert!(counter.forgotten_at.len() <= 100);
    }
}
