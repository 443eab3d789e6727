//! A map whose entries are over at a moment, and can be taken out in that order without looking at the others.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};

use usher_auth::secret::HashedToken;

/// A moment of the process's own clock, in milliseconds since its start.
pub(super) type Moment = u64;

/// Entries under hashed tokens, each with the moment it is over.
#[derive(Debug)]
pub(super) struct Expiring<V> {
    entries: HashMap<HashedToken, (Moment, V)>,
    order: BTreeSet<(Moment, ByBytes)>,
}

/// A hashed token that can be put in order; which one does not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ByBytes(HashedToken);

impl Ord for ByBytes {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.as_bytes().cmp(other.0.as_bytes())
    }
}

impl PartialOrd for ByBytes {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<V> Default for Expiring<V> {
    fn default() -> Self {
        Self { entries: HashMap::new(), order: BTreeSet::new() }
    }
}

impl<V> Expiring<V> {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn contains(&self, key: &HashedToken) -> bool {
        self.entries.contains_key(key)
    }

    /// Put in an entry whose key is not in yet.
    pub(super) fn insert(&mut self, key: HashedToken, over_at: Moment, value: V) {
        debug_assert!(!self.contains(&key), "the key is not in yet");
        self.entries.insert(key, (over_at, value));
        self.order.insert((over_at, ByBytes(key)));
    }

    pub(super) fn remove(&mut self, key: &HashedToken) -> Option<(Moment, V)> {
        let (over_at, value) = self.entries.remove(key)?;
        self.order.remove(&(over_at, ByBytes(*key)));
        Some((over_at, value))
    }

    /// Take out the entry that is over first.
    pub(super) fn pop_first(&mut self) -> Option<(HashedToken, Moment, V)> {
        let (_, ByBytes(key)) = *self.order.first()?;
        self.remove(&key).map(|(over_at, value)| (key, over_at, value))
    }

    /// Take out the entry that is over first, if that is `now` already.
    pub(super) fn pop_over(&mut self, now: Moment) -> Option<(HashedToken, Moment, V)> {
        let (over_at, _) = self.order.first()?;
        if *over_at <= now { self.pop_first() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u8) -> HashedToken {
        HashedToken::from_bytes([n; 32])
    }

    #[test]
    fn entries_come_out_when_they_are_over_and_not_before() {
        let mut map = Expiring::default();
        for (n, over_at) in [(1, 30), (2, 10), (3, 20), (4, 10)] {
            map.insert(key(n), over_at, n);
        }
        assert!(map.pop_over(9).is_none());
        let mut over = Vec::new();
        while let Some((_, over_at, n)) = map.pop_over(20) {
            over.push((over_at, n));
        }
        assert_eq!(over, [(10, 2), (10, 4), (20, 3)]);
        assert_eq!(map.len(), 1);
    }

    #[test]
    fn what_was_removed_does_not_come_out() {
        let mut map = Expiring::default();
        map.insert(key(1), 10, ());
        map.insert(key(2), 20, ());
        assert_eq!(map.remove(&key(1)), Some((10, ())));
        assert_eq!(map.remove(&key(1)), None);
        assert_eq!(map.pop_first(), Some((key(2), 20, ())));
        assert_eq!(map.pop_first(), None);
        assert_eq!((map.len(), map.order.len()), (0, 0));
    }
}
