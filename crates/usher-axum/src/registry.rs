//! All live connections, found by whatever their credentials can be revoked by.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::sync::Mutex;
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
    /// Those that wait for a first message.
    waiting: BTreeMap<ConnectionId, Arc<ConnectionHandle>>,
    /// Those that were closed, and may have something to write still.
    ending: BTreeMap<ConnectionId, Arc<ConnectionHandle>>,
}

/// Keeps a connection in the registry for as long as it lives.
#[derive(Debug)]
pub(crate) struct Registration {
    registry: Arc<Registry>,
    handle: Arc<ConnectionHandle>,
    facts: Arc<CredentialFacts>,
}

/// Keeps a waiting socket in the registry for as long as it waits.
#[derive(Debug)]
pub(crate) struct WaitingRegistration {
    registry: Arc<Registry>,
    id: ConnectionId,
}

/// Keeps a closed connection in the registry until its socket is freed.
#[derive(Debug)]
pub(crate) struct EndingRegistration {
    registry: Arc<Registry>,
    id: ConnectionId,
}

impl Maps {
    /// Whether there is room for one connection more under `facts`, beside what is there under `held`.
    fn has_room(&self, facts: &CredentialFacts, held: Option<&CredentialFacts>, limits: ConnectionLimits) -> bool {
        let users = || self.by_user.range(all_of(&facts.user)).take(limits.per_user).count();
        if held.is_none_or(|held| held.user != facts.user) && users() >= limits.per_user {
            return false;
        }
        let Some(session) = &facts.session else { return true };
        let of_session = || self.by_session.range(all_of(session)).take(limits.per_session).count();
        held.is_some_and(|held| held.session == facts.session) || of_session() < limits.per_session
    }

    fn insert(&mut self, handle: &Arc<ConnectionHandle>, facts: &Arc<CredentialFacts>) {
        handle.set_facts(facts.clone());
        self.by_user.insert((facts.user.clone(), handle.id()), handle.clone());
        if let Some(session) = &facts.session {
            self.by_session.insert((session.clone(), handle.id()), handle.clone());
        }
    }

    fn remove(&mut self, id: ConnectionId, facts: &CredentialFacts) {
        self.by_user.remove(&(facts.user.clone(), id));
        if let Some(session) = &facts.session {
            self.by_session.remove(&(session.clone(), id));
        }
    }
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
        if !maps.has_room(&facts, None, limits) {
            return None;
        }
        maps.insert(handle, &facts);
        drop(maps);
        Some(Registration { registry: self.clone(), handle: handle.clone(), facts })
    }

    /// Puts a waiting socket in, so that a drain finds it.
    pub(crate) fn register_waiting(self: &Arc<Self>, handle: &Arc<ConnectionHandle>) -> WaitingRegistration {
        self.maps.lock().waiting.insert(handle.id(), handle.clone());
        WaitingRegistration { registry: self.clone(), id: handle.id() }
    }

    /// Puts a closed connection in, so that what it has queued is counted.
    pub(crate) fn register_ending(self: &Arc<Self>, handle: &Arc<ConnectionHandle>) -> EndingRegistration {
        self.maps.lock().ending.insert(handle.id(), handle.clone());
        EndingRegistration { registry: self.clone(), id: handle.id() }
    }

    /// The connections that were closed and are not gone.
    pub(crate) fn ending(&self) -> Vec<Arc<ConnectionHandle>> {
        self.maps.lock().ending.values().cloned().collect()
    }

    /// The connections that `target` could be about. Whether it ends them is decided by their credential's facts.
    pub(crate) fn find(&self, target: &RevocationTarget) -> Vec<Arc<ConnectionHandle>> {
        match target {
            RevocationTarget::User { user, .. } => self.of_user(user),
            RevocationTarget::Session(session) => self.of_session(session),
            RevocationTarget::Token(..) | RevocationTarget::ApiKey(_) => {
                self.maps.lock().by_user.values().cloned().collect()
            }
        }
    }

    /// Every connection, also those that wait.
    pub(crate) fn all(&self) -> Vec<Arc<ConnectionHandle>> {
        let maps = self.maps.lock();
        maps.by_user.values().chain(maps.waiting.values()).cloned().collect()
    }

    pub(crate) fn of_user(&self, user: &UserId) -> Vec<Arc<ConnectionHandle>> {
        self.maps.lock().by_user.range(all_of(user)).map(|(_, handle)| handle.clone()).collect()
    }

    pub(crate) fn of_session(&self, session: &SessionId) -> Vec<Arc<ConnectionHandle>> {
        self.maps.lock().by_session.range(all_of(session)).map(|(_, handle)| handle.clone()).collect()
    }

    /// How many are open.
    pub(crate) fn len(&self) -> usize {
        self.maps.lock().by_user.len()
    }

    /// How many wait for a first message.
    pub(crate) fn waiting(&self) -> usize {
        self.maps.lock().waiting.len()
    }
}

fn all_of<K: Clone>(key: &K) -> RangeInclusive<(K, ConnectionId)> {
    (key.clone(), ConnectionId::from_random([0; 16]))..=(key.clone(), ConnectionId::from_random([0xff; 16]))
}

impl Registration {
    /// Moves the connection to where its new credential is found. It is in the registry all the time: a revocation that comes
    /// meanwhile finds it by the old one or the new one. False, and nothing changes, if another user or session than before has no
    /// room for it.
    pub(crate) fn replace(&mut self, facts: Arc<CredentialFacts>, limits: ConnectionLimits) -> bool {
        let mut maps = self.registry.maps.lock();
        if !maps.has_room(&facts, Some(&self.facts), limits) {
            return false;
        }
        maps.remove(self.handle.id(), &self.facts);
        maps.insert(&self.handle, &facts);
        drop(maps);
        self.facts = facts;
        true
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.registry.maps.lock().remove(self.handle.id(), &self.facts);
    }
}

impl Drop for WaitingRegistration {
    fn drop(&mut self) {
        self.registry.maps.lock().waiting.remove(&self.id);
    }
}

impl Drop for EndingRegistration {
    fn drop(&mut self) {
        self.registry.maps.lock().ending.remove(&self.id);
    }
}
