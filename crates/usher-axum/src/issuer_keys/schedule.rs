//! When one issuer's keys are fetched, believed and dropped: a matter of times alone.
//!
//! All times are monotonic, as [`usher_auth::Now::monotonic`] gives them.

use std::time::Duration;

use super::source::KeyFetchLimits;

/// Why keys are fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FetchCause {
    /// They are not fresh any more, or were never fetched.
    Due,
    /// A token names a key that is not among them.
    UnknownKey,
}

/// What is known about one issuer's fetches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    window: Duration,
    stale_for: Duration,
    /// Before this, an unknown key causes no fetch.
    unknown_key_from: Duration,
    due_at: Duration,
    replaced_at: Option<Duration>,
    /// When the keys in use are dropped; `None` when there are none.
    usable_until: Option<Duration>,
}

impl Schedule {
    /// Nothing fetched yet: due at once.
    pub(super) fn new(limits: &KeyFetchLimits) -> Self {
        Self {
            window: limits.window,
            stale_for: limits.stale_for,
            unknown_key_from: Duration::ZERO,
            due_at: Duration::ZERO,
            replaced_at: None,
            usable_until: None,
        }
    }

    /// Whether it is time for a fetch; unknown keys cause at most one in a window (req G2).
    pub(super) fn admits(&self, cause: FetchCause, now: Duration) -> bool {
        match cause {
            FetchCause::Due => self.due_at <= now,
            FetchCause::UnknownKey => self.unknown_key_from <= now,
        }
    }

    /// Whether the keys were replaced at `since` or later, so that a verdict from then is out of date.
    pub(super) fn replaced_since(&self, since: Duration) -> bool {
        self.replaced_at.is_some_and(|at| at >= since)
    }

    /// A fetch begins. One that is never heard of again counts as failed.
    pub(super) fn launched(&mut self, cause: FetchCause, now: Duration) {
        self.due_at = now.saturating_add(self.window);
        if cause == FetchCause::UnknownKey {
            // A fetch that was merely due does not count: a key may be new since then, and its tokens should not wait.
            self.unknown_key_from = self.due_at;
        }
    }

    /// A fetch brought keys that are fresh for `fresh_for`.
    pub(super) fn succeeded(&mut self, fresh_for: Duration, now: Duration) {
        self.due_at = now.saturating_add(fresh_for);
        self.replaced_at = Some(now);
        self.usable_until = Some(self.due_at.saturating_add(self.stale_for));
    }

    /// A fetch failed: nobody tries again within the window, and the keys in use stay until they are too old.
    pub(super) fn failed(&mut self, now: Duration) {
        self.due_at = now.saturating_add(self.window);
        self.unknown_key_from = self.due_at;
    }

    /// Whether the keys in use are too old to be believed; says so once.
    pub(super) fn expire(&mut self, now: Duration) -> bool {
        self.usable_until.take_if(|until| *until <= now).is_some()
    }

    /// The keys in use were dropped for another reason than age; whether there were any.
    pub(super) fn forget_keys(&mut self) -> bool {
        self.usable_until.take().is_some()
    }

    pub(super) fn has_keys(&self) -> bool {
        self.usable_until.is_some()
    }

    /// When something is to be done next, if no unknown key comes before.
    pub(super) fn wake_at(&self) -> Duration {
        self.usable_until.map_or(self.due_at, |until| until.min(self.due_at))
    }
}
