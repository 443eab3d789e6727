//! Budgets by number, in all and of one source: sockets that nobody has authenticated on have one of their own, so that they
//! never crowd out those of users (req E3).

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;

use crate::sync::Mutex;

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

/// So many places in all, and so many of one source: an address, or a user. A cheap handle.
#[derive(Debug)]
pub struct Budget<S: Eq + Hash> {
    total: usize,
    per_source: usize,
    counts: Arc<Mutex<Counts<S>>>,
}

/// Places by the client's address.
pub type SourceBudget = Budget<IpAddr>;

#[derive(Debug)]
struct Counts<S> {
    total: usize,
    by_source: HashMap<S, usize>,
}

/// One place in a budget, given back when dropped.
#[derive(Debug)]
pub struct Place<S: Eq + Hash> {
    counts: Arc<Mutex<Counts<S>>>,
    /// `None` for what is of no one source.
    source: Option<S>,
}

/// A place by the client's address.
pub type SourcePlace = Place<IpAddr>;

/// The place of a socket that waits for its first message.
pub(crate) type WaitingPlace = SourcePlace;

impl<S: Eq + Hash> Clone for Budget<S> {
    fn clone(&self) -> Self {
        Self { total: self.total, per_source: self.per_source, counts: self.counts.clone() }
    }
}

impl<S: Eq + Hash + Clone> Budget<S> {
    /// All places are free.
    pub fn new(total: usize, per_source: usize) -> Self {
        let counts = Counts { total: 0, by_source: HashMap::new() };
        Self { total, per_source, counts: Arc::new(Mutex::new(counts)) }
    }

    /// The same places, with other limits from now on.
    #[must_use]
    pub fn with_limits(&self, total: usize, per_source: usize) -> Self {
        Self { total, per_source, counts: self.counts.clone() }
    }

    /// Whether there is no place for anyone.
    pub fn is_full(&self) -> bool {
        self.counts.lock().total >= self.total
    }

    /// A place for something from `source`, if there is one. Counting and taking are one step, so that no burst overshoots.
    pub fn take(&self, source: S) -> Option<Place<S>> {
        self.take_for(Some(source))
    }

    /// The same for something that is of no one source, such as the connection of a proxy, and counts in all alone.
    pub fn take_for(&self, source: Option<S>) -> Option<Place<S>> {
        let mut counts = self.counts.lock();
        if counts.total >= self.total {
            return None;
        }
        if let Some(source) = &source {
            let from_source = counts.by_source.get(source).copied().unwrap_or(0);
            if from_source >= self.per_source {
                return None;
            }
            counts.by_source.insert(source.clone(), from_source + 1);
        }
        counts.total += 1;
        Some(Place { counts: self.counts.clone(), source })
    }
}

impl<S: Eq + Hash> Drop for Place<S> {
    fn drop(&mut self) {
        let mut counts = self.counts.lock();
        counts.total -= 1;
        let Some(source) = &self.source else { return };
        if let Some(count) = counts.by_source.get_mut(source) {
            *count -= 1;
            if *count == 0 {
                counts.by_source.remove(source);
            }
        }
    }
}
