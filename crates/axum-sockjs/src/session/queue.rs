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

    /// The first so many, of which `bytes` tells the length.
    pub(super) fn take(&mut self, most: usize, bytes: impl Fn(&T) -> usize) -> Vec<T> {
        let taken: Vec<T> = self.items.drain(..most.min(self.items.len())).collect();
        self.bytes -= taken.iter().map(|item| cost(bytes(item))).sum::<usize>();
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
