//! Which rooms have an update to send, and when.

use std::collections::BTreeMap;
use std::sync::Weak;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;

use crate::room::Room;

/// The rooms with changes that were not told yet. A room is in it at most once and leaves it when it closes, so that it is bounded
/// by the number of rooms.
#[derive(Default)]
pub(crate) struct Schedule(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    due: BTreeMap<DueKey, Weak<Room>>,
    next_number: u64,
    /// Of whoever waits for the earliest deadline.
    waker: Option<Waker>,
}

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DueKey {
    /// On the monotonic clock.
    at: Duration,
    number: u64,
}

impl Schedule {
    pub(crate) fn add(&self, at: Duration, room: Weak<Room>) -> DueKey {
        let (key, waker) = {
            let mut inner = self.0.lock();
            let earlier = inner.due.first_key_value().is_none_or(|(first, _)| at < first.at);
            let key = DueKey { at, number: inner.next_number };
            inner.next_number += 1;
            inner.due.insert(key, room);
            (key, if earlier { inner.waker.take() } else { None })
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        key
    }

    pub(crate) fn remove(&self, key: DueKey) {
        self.0.lock().due.remove(&key);
    }

    /// Takes out what is due at `now`.
    pub(crate) fn take_due(&self, now: Duration) -> impl Iterator<Item = Weak<Room>> + use<> {
        let mut inner = self.0.lock();
        let later = inner.due.split_off(&DueKey { at: now, number: u64::MAX });
        std::mem::replace(&mut inner.due, later).into_values()
    }

    pub(crate) fn earliest(&self) -> Option<Duration> {
        self.0.lock().due.first_key_value().map(|(key, _)| key.at)
    }

    pub(crate) fn poll_earliest(&self, context: &mut Context<'_>) -> Poll<Duration> {
        let mut inner = self.0.lock();
        match &mut inner.waker {
            Some(waker) => waker.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        match inner.due.first_key_value() {
            Some((key, _)) => Poll::Ready(key.at),
            None => Poll::Pending,
        }
    }
}
