//! All live connections, found by whatever their credentials can be revoked by.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::Arc;

use hashbrown::HashTable;
use usher_auth::ids::{ApiKeyId, ConnectionId, IssuerName, IssuerSessionId, IssuerSubject, SessionId, TokenId, UserId};
use usher_auth::permit::CredentialFacts;
use usher_auth::revocation::RevocationTarget;

use crate::budget::ConnectionLimits;
use crate::mailbox::ConnectionHandle;
use crate::sync::Mutex;

/// The index. Each connection is in it under everything that its credential can be revoked by.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    maps: Mutex<Maps>,
}

#[derive(Debug, Default)]
struct Maps {
    /// What hashes names. Its key is random, so that nobody can choose names that share a hash.
    hasher: RandomState,
    /// Every open connection, under its user.
    by_user: Index,
    /// Under everything else that its credential can be revoked by.
    by_other: Index,
    /// Those that wait for a first message.
    waiting: BTreeMap<ConnectionId, Arc<ConnectionHandle>>,
    /// Those that were closed, and may have something to write still.
    ending: BTreeMap<ConnectionId, Arc<ConnectionHandle>>,
}

/// Connections by the hashes of names: a name has few bytes here, however long it is and however many kinds of names a credential has. Who looks one up
/// compares the name itself where it matters.
#[derive(Debug, Default)]
struct Index(HashTable<(u64, Arc<ConnectionHandle>)>);

impl Index {
    fn insert(&mut self, hash: u64, handle: &Arc<ConnectionHandle>) {
        self.0.insert_unique(hash, (hash, handle.clone()), |(hash, _)| *hash);
    }

    fn remove(&mut self, hash: u64, id: ConnectionId) {
        if let Ok(entry) = self.0.find_entry(hash, |(other, handle)| *other == hash && handle.id() == id) {
            entry.remove();
        }
        // What a crowd needed is given back.
        if self.0.len() < self.0.capacity() / 4 {
            self.0.shrink_to(self.0.len() * 2, |(hash, _)| *hash);
        }
    }

    fn of(&self, hash: u64) -> impl Iterator<Item = &Arc<ConnectionHandle>> {
        self.0.iter_hash(hash).filter(move |(other, _)| *other == hash).map(|(_, handle)| handle)
    }

    fn all(&self) -> impl Iterator<Item = &Arc<ConnectionHandle>> {
        self.0.iter().map(|(_, handle)| handle)
    }
}

/// What else than its user a credential can be revoked by. Each kind has hashes of its own.
#[derive(Hash)]
enum Name<'a> {
    Session(&'a SessionId),
    Token(&'a Option<IssuerName>, &'a TokenId),
    ApiKey(&'a ApiKeyId),
    IssuerSession(&'a IssuerName, &'a IssuerSessionId),
    IssuerSubject(&'a IssuerName, &'a IssuerSubject),
}

/// The names of a credential.
fn names(facts: &CredentialFacts) -> impl Iterator<Item = Name<'_>> {
    let issued_by = facts.issued_by.as_ref();
    let of_issuer =
        issued_by.and_then(|by| by.session.as_ref().map(|session| Name::IssuerSession(&by.issuer, session)));
    let names = [
        facts.session.as_ref().map(Name::Session),
        facts.token.as_ref().map(|(issuer, id)| Name::Token(issuer, id)),
        facts.api_key.as_ref().map(Name::ApiKey),
        of_issuer,
        issued_by.map(|by| Name::IssuerSubject(&by.issuer, &by.subject)),
    ];
    names.into_iter().flatten()
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
    fn hash_of(&self, name: &Name<'_>) -> u64 {
        self.hasher.hash_one(name)
    }

    fn of_user(&self, user: &UserId) -> impl Iterator<Item = &Arc<ConnectionHandle>> {
        self.by_user.of(self.hasher.hash_one(user))
    }

    fn of_session(&self, session: &SessionId) -> impl Iterator<Item = &Arc<ConnectionHandle>> {
        self.by_other.of(self.hash_of(&Name::Session(session)))
    }

    /// Whether there is room for one connection more under `facts`, beside what is there under `held`.
    fn has_room(&self, facts: &CredentialFacts, held: Option<&CredentialFacts>, limits: ConnectionLimits) -> bool {
        let users = || self.of_user(&facts.user).take(limits.per_user).count();
        if held.is_none_or(|held| held.user != facts.user) && users() >= limits.per_user {
            return false;
        }
        let Some(session) = &facts.session else { return true };
        let of_session = || self.of_session(session).take(limits.per_session).count();
        held.is_some_and(|held| held.session == facts.session) || of_session() < limits.per_session
    }

    fn insert(&mut self, handle: &Arc<ConnectionHandle>, facts: &Arc<CredentialFacts>) {
        handle.set_facts(facts.clone());
        self.by_user.insert(self.hasher.hash_one(&facts.user), handle);
        for name in names(facts) {
            self.by_other.insert(self.hasher.hash_one(name), handle);
        }
    }

    fn remove(&mut self, id: ConnectionId, facts: &CredentialFacts) {
        self.by_user.remove(self.hasher.hash_one(&facts.user), id);
        for name in names(facts) {
            self.by_other.remove(self.hasher.hash_one(name), id);
        }
    }

    fn find(&self, target: &RevocationTarget) -> Vec<Arc<ConnectionHandle>> {
        let name = match target {
            RevocationTarget::User { user, .. } => return self.of_user(user).cloned().collect(),
            RevocationTarget::Session(session) => Name::Session(session),
            RevocationTarget::Token(issuer, id) => Name::Token(issuer, id),
            RevocationTarget::ApiKey(id) => Name::ApiKey(id),
            RevocationTarget::IssuerSession(issuer, session) => Name::IssuerSession(issuer, session),
            RevocationTarget::IssuerSubject { issuer, subject, .. } => Name::IssuerSubject(issuer, subject),
        };
        self.by_other.of(self.hash_of(&name)).cloned().collect()
    }
}

/// Whether the credential of a connection has that user: two users may have one hash.
fn is_of(handle: &ConnectionHandle, user: &UserId) -> bool {
    handle.facts().is_some_and(|facts| facts.user == *user)
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
        maps.by_user.all().chain(maps.waiting.values()).cloned().collect()
    }

    pub(crate) fn of_user(&self, user: &UserId) -> Vec<Arc<ConnectionHandle>> {
        let found: Vec<_> = self.maps.lock().of_user(user).cloned().collect();
        found.into_iter().filter(|handle| is_of(handle, user)).collect()
    }

    pub(crate) fn of_session(&self, session: &SessionId) -> Vec<Arc<ConnectionHandle>> {
        let found: Vec<_> = self.maps.lock().of_session(session).cloned().collect();
        let is_of = |handle: &Arc<ConnectionHandle>| {
            handle.facts().is_some_and(|facts| facts.session.as_ref() == Some(session))
        };
        found.into_iter().filter(is_of).collect()
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
