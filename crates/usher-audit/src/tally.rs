//! Which values occur most often in a stream that an attacker may choose, in bounded memory.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, Hash, RandomState};

/// Values that are counted at the same time (Misra and Gries, 1982): every value that makes up more than one in 33 is among them.
const MAX_COUNTED: usize = 32;
/// Most values that are told apart to say how many there were.
const MAX_DISTINCT: usize = 500;

/// Counts values. At most [`MAX_COUNTED`] of them and the hashes of [`MAX_DISTINCT`] are kept: about 12 KB.
#[derive(Clone, Debug)]
pub(super) struct Tally<T> {
    counts: HashMap<T, u64>,
    /// Hashes with a key of our own, so that a client cannot choose values that collide.
    seen: HashSet<u64>,
    hasher: RandomState,
}

impl<T> Default for Tally<T> {
    fn default() -> Self {
        Self { counts: HashMap::new(), seen: HashSet::new(), hasher: RandomState::new() }
    }
}

impl<T: Clone + Eq + Hash + Ord> Tally<T> {
    /// Counts one occurrence of `value`.
    pub(super) fn add(&mut self, value: T) {
        if self.seen.len() < MAX_DISTINCT {
            self.seen.insert(self.hasher.hash_one(&value));
        }
        if let Some(count) = self.counts.get_mut(&value) {
            *count += 1;
        } else if self.counts.len() < MAX_COUNTED {
            self.counts.insert(value, 1);
        } else {
            self.counts.retain(|_, count| {
                *count -= 1;
                *count > 0
            });
        }
    }

    /// The most frequent values, the most frequent first, each with how often it occurred at least; and how many other values occurred,
    /// at most [`MAX_DISTINCT`].
    pub(super) fn top(&self, limit: usize) -> (Vec<(T, u64)>, usize) {
        let mut values: Vec<(T, u64)> = self.counts.iter().map(|(value, count)| (value.clone(), *count)).collect();
        values.sort_by(|(one, count), (other, others)| others.cmp(count).then_with(|| one.cmp(other)));
        values.truncate(limit);
        let more = self.seen.len().saturating_sub(values.len());
        (values, more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frequent_ones_stay_and_the_memory_is_bounded() {
        // req N5
        let mut tally = Tally::default();
        for n in 0..100_000_u32 {
            tally.add(1_000_000 + n);
            if n % 10 == 0 {
                tally.add(7);
            }
        }
        assert!(tally.counts.len() <= MAX_COUNTED && tally.seen.len() <= MAX_DISTINCT);
        let (top, more) = tally.top(3);
        assert_eq!(top[0].0, 7);
        assert!(top[0].1 <= 10_000, "never more than there were");
        assert_eq!(more, MAX_DISTINCT - top.len());
    }

    #[test]
    fn few_are_counted_exactly() {
        let mut tally = Tally::default();
        for name in ["b", "a", "a", "c"] {
            tally.add(name);
        }
        assert_eq!(tally.top(2), (vec![("a", 2), ("b", 1)], 1));
    }
}
