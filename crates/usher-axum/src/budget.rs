//! Sockets that nobody has authenticated on have a budget of their own, so that they never crowd out those of users (req E3).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

/// How many sockets may wait for a first message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitingLimits {
    /// In all.
    pub total: usize,
    /// From one client address (one /64 for IPv6).
    pub per_ip: usize,
}

impl Default for WaitingLimits {
    fn default() -> Self {
        Self { total: 10_000, per_ip: 1_000 }
    }
}

/// How many open connections there may be. One more is closed as too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Of one user.
    pub per_user: usize,
    /// Of one session.
    pub per_session: usize,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self { per_user: 200, per_session: 100 }
    }
}

/// The budget. A cheap handle.
#[derive(Clone, Debug)]
pub(crate) struct WaitingBudget {
    limits: WaitingLimits,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Debug, Default)]
struct Counts {
    total: usize,
    by_source: HashMap<IpAddr, usize>,
}

/// One place in the budget, given back when dropped.
#[derive(Debug)]
pub(crate) struct WaitingPlace {
    counts: Arc<Mutex<Counts>>,
    source: IpAddr,
}

impl WaitingBudget {
    pub(crate) fn new(limits: WaitingLimits) -> Self {
        Self { limits, counts: Arc::default() }
    }

    /// How many places are taken.
    pub(crate) fn taken(&self) -> usize {
        self.counts.lock().total
    }

    /// The same places, with other limits from now on.
    pub(crate) fn with_limits(&self, limits: WaitingLimits) -> Self {
        Self { limits, counts: self.counts.clone() }
    }

    /// A place for a socket from `source`, if there is one. Counting and taking are one step, so that no burst overshoots.
    pub(crate) fn take(&self, source: IpAddr) -> Option<WaitingPlace> {
        let mut counts = self.counts.lock();
        let from_source = counts.by_source.get(&source).copied().unwrap_or(0);
        if counts.total >= self.limits.total || from_source >= self.limits.per_ip {
            return None;
        }
        counts.total += 1;
        counts.by_source.insert(source, from_source + 1);
        Some(WaitingPlace { counts: self.counts.clone(), source })
    }
}

impl Drop for WaitingPlace {
    fn drop(&mut self) {
        let mut counts = self.counts.lock();
        counts.total -= 1;
        if let Some(count) = counts.by_source.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                counts.by_source.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_and_given_back() {
        // req E3
        let budget = WaitingBudget::new(WaitingLimits { total: 3, per_ip: 2 });
        let (one, two) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let first = budget.take(one);
        let second = budget.take(one);
        assert!(first.is_some() && second.is_some());
        assert!(budget.take(one).is_none(), "two from one source");
        let third = budget.take(two);
        assert!(third.is_some());
        assert!(budget.take(two).is_none(), "three in all");
        drop(first);
        assert!(budget.take(two).is_some());
        drop((second, third));
        assert!(budget.counts.lock().by_source.is_empty());
    }
}
