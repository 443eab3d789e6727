//! A store whose sessions' uses are written behind: kept in memory at first, and written in batches.
//!
//! Every reading of a session has its last use, written or not. What a process has not written when it is killed is lost: a session may then
//! end by its idle limit as many seconds too early as lie between two calls of [`WriteBehindStore::flush`].

mod delegation;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use usher_auth::ids::SessionId;
use usher_auth::session::Session;

use crate::{SessionUse, Store, StoreError};

/// Most sessions whose last use is kept in memory until it is written. Beyond it a use is written at once, alone, as without this.
pub const MAX_UNWRITTEN_USES: usize = 100_000;

/// A store, and the uses of sessions that it has not been told yet. A cheap handle.
#[derive(Clone)]
pub struct WriteBehindStore {
    inner: Arc<dyn Store>,
    shared: Arc<Shared>,
    most: usize,
}

#[derive(Default)]
struct Shared {
    uses: Mutex<Uses>,
    /// Held by the flush that is under way.
    flushing: tokio::sync::Mutex<()>,
}

/// The last use of each session that the store may not have. No session is in one map with an earlier use than in the other for long: what
/// counts is the later of both.
#[derive(Default)]
struct Uses {
    waiting: HashMap<SessionId, SessionUse>,
    /// Those on their way to the store: they count until it has them.
    writing: HashMap<SessionId, SessionUse>,
}

impl Uses {
    /// Keeps a use, unless a later one of that session waits already.
    fn insert(&mut self, used: SessionUse) {
        match self.waiting.get(&used.session) {
            Some(kept) if kept.last_seen_at >= used.last_seen_at => {}
            _ => {
                self.waiting.insert(used.session.clone(), used);
            }
        }
    }

    /// Whether one more session fits.
    fn has_room_for(&self, session: &SessionId, most: usize) -> bool {
        self.waiting.contains_key(session) || self.waiting.len() + self.writing.len() < most
    }

    fn bring_up_to_date(&self, session: &mut Session) {
        let kept = [&self.waiting, &self.writing].map(|uses| uses.get(&session.id));
        for used in kept.into_iter().flatten() {
            session.last_seen_at = session.last_seen_at.max(used.last_seen_at);
        }
    }
}

impl WriteBehindStore {
    /// Over `inner`. Whoever makes one calls [`Self::flush`] every few seconds and before the process ends.
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self::with_bound(inner, MAX_UNWRITTEN_USES)
    }

    fn with_bound(inner: Arc<dyn Store>, most: usize) -> Self {
        Self { inner, shared: Arc::default(), most }
    }

    /// Note that a session was used. The caller has found out that there is such a session. Waits for nothing, unless
    /// [`MAX_UNWRITTEN_USES`] are noted already.
    pub async fn note_use(&self, used: &SessionUse) -> Result<(), StoreError> {
        let kept = {
            let mut uses = self.shared.uses.lock();
            let room = uses.has_room_for(&used.session, self.most);
            if room {
                uses.insert(used.clone());
            }
            room
        };
        if !kept {
            self.inner.touch_session(&used.session, used.last_seen_at).await?;
        }
        Ok(())
    }

    /// Write what was noted, in one transaction; what that was. If it fails, or its caller gives it up, the uses are kept for the next time.
    pub async fn flush(&self) -> Result<Vec<SessionUse>, StoreError> {
        let _turn = self.shared.flushing.lock().await;
        let uses: Vec<SessionUse> = {
            let mut uses = self.shared.uses.lock();
            uses.writing = std::mem::take(&mut uses.waiting);
            uses.writing.values().cloned().collect()
        };
        if uses.is_empty() {
            return Ok(uses);
        }
        let unwritten = Unwritten(&self.shared.uses);
        let batch: Vec<_> = uses.iter().map(|used| (used.session.clone(), used.last_seen_at)).collect();
        self.inner.touch_sessions(&batch).await?;
        unwritten.written();
        Ok(uses)
    }

    /// How many sessions' uses are not written yet.
    pub fn unwritten(&self) -> usize {
        let uses = self.shared.uses.lock();
        uses.waiting.len() + uses.writing.len()
    }

    fn up_to_date(&self, mut sessions: Vec<Session>) -> Vec<Session> {
        let uses = self.shared.uses.lock();
        for session in &mut sessions {
            uses.bring_up_to_date(session);
        }
        sessions
    }
}

/// Uses on their way to the store. Those that did not arrive wait again, also when nothing waits for the write any more.
struct Unwritten<'a>(&'a Mutex<Uses>);

impl Unwritten<'_> {
    /// They have arrived.
    fn written(self) {
        self.0.lock().writing.clear();
    }
}

impl Drop for Unwritten<'_> {
    fn drop(&mut self) {
        let mut uses = self.0.lock();
        for (_, used) in std::mem::take(&mut uses.writing) {
            uses.insert(used);
        }
    }
}
