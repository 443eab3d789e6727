//! All live connections, found by whatever their credentials can be revoked by.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use parking_lot::Mutex;
use usher_auth::ids::{ConnectionId, SessionId, UserId};
use usher_auth::permit::CredentialFacts;
use usher_auth::revocation::RevocationTarget;

use crate::budget::ConnectionLimits;
use crate::mailbox::ConnectionHandle;

/// The index. Users and sessions are looked up; the rarer targets (one token, one key) are found by looking through all.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    maps: Mutex<Maps>,
}

#[derive(Debug, Default)]
struct Maps {
    by_user: BTreeMap<(UserId, ConnectionId), Arc<ConnectionHandle>>,
    by_session: BTreeMap<(SessionId, ConnectionId), Arc<ConnectionHandle>>,
}

/// Keeps a connection in the registry for as long as it lives.
#[derive(Debug)]
pub(crate) struct Registration {
    registry: Arc<Registry>,
    handle: Arc<ConnectionHandle>,
    facts: Arc<CredentialFacts>,
}

impl Registry {
    /// Puts a connection in, unless its user or session has as many as they may (req H15). Counting and putting in are one step,
    /// so that no burst overshoots.
    pub(crate) fn register(
        self: &Arc<Self>,
        handle: &Arc<ConnectionHandle>,
        facts: Arc<CredentialFacts>,
        limits: ConnectionLimits,
    ) -> Option<Registration> {
        let mut maps = self.maps.lock();
        let full = |count: usize, limit: usize| count >= limit;
        if full(maps.by_user.range(all_of(&facts.user)).take(limits.per_user).count(), limits.per_user) {
            return None;
        }
        if let Some(session) = &facts.session
            && full(maps.by_session.range(all_of(session)).take(limits.per_session).count(), limits.per_session)
        {
            return None;
        }
        handle.set_facts(facts.clone());
        maps.by_user.insert((facts.user.clone(), handle.id()), handle.clone());
        if let Some(session) = &facts.session {
            maps.by_session.insert((session.clone(), handle.id()), handle.clone());
        }
        drop(maps);
        Some(Registration { registry: self.clone(), handle: handle.clone(), facts })
    }

    /// The connections that `target` could be about. Whether it ends them is decided by their credential's facts.
    pub(crate) fn find(&self, target: &RevocationTarget) -> Vec<Arc<ConnectionHandle>> {
        let maps = self.maps.lock();
        match target {
            RevocationTarget::User { user, .. } => {
                maps.by_user.range(all_of(user)).map(|(_, handle)| handle.clone()).collect()
            }
            RevocationTarget::Session(session) => {
                maps.by_session.range(all_of(session)).map(|(_, handle)| handle.clone()).collect()
            }
            RevocationTarget::Token(..) | RevocationTarget::ApiKey(_) => maps.by_user.values().cloned().collect(),
        }
    }

    pub(crate) fn all(&self) -> Vec<Arc<ConnectionHandle>> {
        self.maps.lock().by_user.values().cloned().collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.maps.lock().by_user.len()
    }
}

fn all_of<K: Clone>(key: &K) -> RangeInclusive<(K, ConnectionId)> {
    (key.clone(), ConnectionId::from_random([0; 16]))..=(key.clone(), ConnectionId::from_random([0xff; 16]))
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut maps = self.registry.maps.lock();
        maps.by_user.remove(&(self.facts.user.clone(), self.handle.id()));
        if let Some(session) = &self.facts.session {
            maps.by_session.remove(&(session.clone(), self.handle.id()));
        }
    }
}
