//! All live connections, found by whatever their credentials can be revoked by.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::sync::Mutex;
use usher_auth::ids::{ApiKeyId, ConnectionId, IssuerName, IssuerSessionId, IssuerSubject, SessionId, TokenId, UserId};
use usher_auth::permit::CredentialFacts;
use usher_auth::revocation::RevocationTarget;

use crate::budget::ConnectionLimits;
use crate::mailbox::ConnectionHandle;

/// The index. Each connection is in it under everything that its credential can be revoked by.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    maps: Mutex<Maps>,
}

#[derive(Debug, Default)]
struct Maps {
    by_user: By<UserId>,
    by_session: By<SessionId>,
    by_token: By<(Option<IssuerName>, TokenId)>,
    by_api_key: By<ApiKeyId>,
    by_issuer_session: By<(IssuerName, IssuerSessionId)>,
    by_issuer_subject: By<(IssuerName, IssuerSubject)>,
    /// Those that wait for a first message.
    waiting: BTreeMap<ConnectionId, Arc<ConnectionHandle>>,
    /// Those that were closed, and may have something to write still.
    ending: BTreeMap<ConnectionId, Arc<ConnectionHandle>>,
}

/// Connections by one kind of name.
#[derive(Debug)]
struct By<K>(BTreeMap<(K, ConnectionId), Arc<ConnectionHandle>>);

impl<K> Default for By<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord + Clone> By<K> {
    fn insert(&mut self, key: K, handle: &Arc<ConnectionHandle>) {
        self.0.insert((key, handle.id()), handle.clone());
    }

    fn remove(&mut self, key: K, id: ConnectionId) {
        self.0.remove(&(key, id));
    }

    fn of(&self, key: &K) -> impl Iterator<Item = &Arc<ConnectionHandle>> {
        let (first, last) = (ConnectionId::from_random([0; 16]), ConnectionId::from_random([0xff; 16]));
        self.0.range((key.clone(), first)..=(key.clone(), last)).map(|(_, handle)| handle)
    }
}

/// What a credential of another issuer can be found by.
type IssuerKeys = (Option<(IssuerName, IssuerSessionId)>, Option<(IssuerName, IssuerSubject)>);

fn issuer_keys(facts: &CredentialFacts) -> IssuerKeys {
    let Some(names) = &facts.issued_by else { return (None, None) };
    let session = names.session.clone().map(|session| (names.issuer.clone(), session));
    (session, Some((names.issuer.clone(), names.subject.clone())))
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
        let users = || self.by_user.of(&facts.user).take(limits.per_user).count();
        if held.is_none_or(|held| held.user != facts.user) && users() >= limits.per_user {
            return false;
        }
        let Some(session) = &facts.session else { return true };
        let of_session = || self.by_session.of(session).take(limits.per_session).count();
        held.is_some_and(|held| held.session == facts.session) || of_session() < limits.per_session
    }

    fn insert(&mut self, handle: &Arc<ConnectionHandle>, facts: &Arc<CredentialFacts>) {
        handle.set_facts(facts.clone());
        self.by_user.insert(facts.user.clone(), handle);
        if let Some(session) = facts.session.clone() {
            self.by_session.insert(session, handle);
        }
        if let Some(token) = facts.token.clone() {
            self.by_token.insert(token, handle);
        }
        if let Some(key) = facts.api_key.clone() {
            self.by_api_key.insert(key, handle);
        }
        let (session, subject) = issuer_keys(facts);
        if let Some(session) = session {
            self.by_issuer_session.insert(session, handle);
        }
        if let Some(subject) = subject {
            self.by_issuer_subject.insert(subject, handle);
        }
    }

    fn remove(&mut self, id: ConnectionId, facts: &CredentialFacts) {
        self.by_user.remove(facts.user.clone(), id);
        if let Some(session) = facts.session.clone() {
            self.by_session.remove(session, id);
        }
        if let Some(token) = facts.token.clone() {
            self.by_token.remove(token, id);
        }
        if let Some(key) = facts.api_key.clone() {
            self.by_api_key.remove(key, id);
        }
        let (session, subject) = issuer_keys(facts);
        if let Some(session) = session {
            self.by_issuer_session.remove(session, id);
        }
        if let Some(subject) = subject {
            self.by_issuer_subject.remove(subject, id);
        }
    }

    fn find(&self, target: &RevocationTarget) -> Vec<Arc<ConnectionHandle>> {
        match target {
            RevocationTarget::User { user, .. } => self.by_user.of(user).cloned().collect(),
            RevocationTarget::Session(session) => self.by_session.of(session).cloned().collect(),
            RevocationTarget::Token(issuer, id) => self.by_token.of(&(issuer.clone(), id.clone())).cloned().collect(),
            RevocationTarget::ApiKey(id) => self.by_api_key.of(id).cloned().collect(),
            RevocationTarget::IssuerSession(issuer, session) => {
                self.by_issuer_session.of(&(issuer.clone(), session.clone())).cloned().collect()
            }
            RevocationTarget::IssuerSubject { issuer, subject, .. } => {
                self.by_issuer_subject.of(&(issuer.clone(), subject.clone())).cloned().collect()
            }
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
        self.maps.lock().find(target)
    }

    /// Every connection, also those that wait.
    pub(crate) fn all(&self) -> Vec<Arc<ConnectionHandle>> {
        let maps = self.maps.lock();
        maps.by_user.0.values().chain(maps.waiting.values()).cloned().collect()
    }

    pub(crate) fn of_user(&self, user: &UserId) -> Vec<Arc<ConnectionHandle>> {
        self.maps.lock().by_user.of(user).cloned().collect()
    }

    pub(crate) fn of_session(&self, session: &SessionId) -> Vec<Arc<ConnectionHandle>> {
        self.maps.lock().by_session.of(session).cloned().collect()
    }

    /// How many are open.
    pub(crate) fn len(&self) -> usize {
        self.maps.lock().by_user.0.len()
    }

    /// How many wait for a first message.
    pub(crate) fn waiting(&self) -> usize {
        self.maps.lock().waiting.len()
    }
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
