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

    pub(super) fn take_one(&mut self, bytes: impl Fn(&T) -> usize) -> Option<T> {
        let item = self.items.pop_front()?;
        self.bytes -= cost(bytes(&item));
        Some(item)
    }

    pub(super) fn take_all(&mut self) -> Vec<T> {
        self.bytes = 0;
        std::mem::take(&mut self.items).into()
    }
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { items: VecDeque::new(), bytes: 0 }
    }
}
