//! A queue that knows its bytes.

use std::collections::VecDeque;

/// What a queued message costs beyond its bytes, so that a flood of empty ones is bounded, too.
pub(super) const MESSAGE_OVERHEAD_BYTES: usize = 32;

#[derive(Debug)]
pub(super) struct Queue<T> {
    items: VecDeque<T>,
    bytes: usize,
}

/// Of a message of that many bytes.
pub(super) fn cost(bytes: usize) -> usize {
    bytes + MESSAGE_OVERHEAD_BYTES
}

impl<T> Queue<T> {
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(super) fn push(&mut self, item: T, bytes: usize) {
        self.bytes += cost(bytes);
        self.items.push_back(item);
    }

    /// The first ones that cost no more than `most` together, and one at least; `bytes` tells their lengths.
    pub(super) fn take_within(&mut self, most: usize, bytes: impl Fn(&T) -> usize) -> Vec<T> {
        let (mut count, mut taken_bytes) = (0, 0);
        for item in &self.items {
            let more = cost(bytes(item));
            if count > 0 && taken_bytes + more > most {
                break;
            }
            (count, taken_bytes) = (count + 1, taken_bytes + more);
        }
        let taken: Vec<T> = self.items.drain(..count).collect();
        self.bytes -= taken_bytes;
        if self.items.is_empty() {
            // A session at rest keeps no room for its worst moment.
            self.items = VecDeque::new();
        }
        taken
    }
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { items: VecDeque::new(), bytes: 0 }
    }
}
