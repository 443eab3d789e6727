//! What a [`super::MemoryStore`] holds, and the operations that touch more than one kind of thing.

use std::collections::{BTreeMap, HashMap, HashSet};

use usher_auth::UnixTime;
use usher_auth::api_key::ApiKey;
use usher_auth::ids::{ApiKeyId, IssuerName, IssuerSubject, SessionId, UserId};
use usher_auth::revocation::{Revocation, RevocationCause, RevocationTarget};
use usher_auth::secret::HashedToken;
use usher_auth::session::{RefreshToken, Session};
use usher_auth::user::{PasswordHash, User};

use crate::backend::RemovedSession;
use crate::{AuditEntry, ChainHead, HashedAddress};

#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) users: BTreeMap<UserId, (User, Option<PasswordHash>)>,
    /// Other issuers' users, with the moment they were banned.
    pub(super) banned: BTreeMap<UserId, UnixTime>,
    sessions: BTreeMap<SessionId, Session>,
    sessions_by_secret: HashMap<HashedToken, SessionId>,
    /// By the order in which they were remembered.
    sessions_in_order: BTreeMap<u64, SessionId>,
    next_session: u64,
    pub(super) refresh_tokens: HashMap<HashedToken, RefreshToken>,
    /// What a session's refresh tokens have in common, by the session.
    pub(super) families: HashMap<SessionId, HashedToken>,
    api_keys: BTreeMap<ApiKeyId, ApiKey>,
    api_keys_by_secret: HashMap<HashedToken, ApiKeyId>,
    /// By the order in which they were remembered.
    revocations: BTreeMap<u64, Revocation>,
    revocations_by_target: HashMap<RevocationKey, u64>,
    next_revocation: u64,
    pub(super) known_addresses: BTreeMap<(UserId, HashedAddress), UnixTime>,
    /// By number.
    pub(super) audit: BTreeMap<u64, AuditEntry>,
    pub(super) audit_heads: HashMap<String, ChainHead>,
}

/// What makes two revocations the same one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum RevocationKey {
    User(UserId, RevocationCause),
    IssuerSubject(IssuerName, IssuerSubject),
    Other(RevocationTarget),
}

fn key_of(revocation: &Revocation) -> RevocationKey {
    match &revocation.target {
        RevocationTarget::User { user, .. } => RevocationKey::User(user.clone(), revocation.cause),
        RevocationTarget::IssuerSubject { issuer, subject, .. } => {
            RevocationKey::IssuerSubject(issuer.clone(), subject.clone())
        }
        other => RevocationKey::Other(other.clone()),
    }
}

/// Something of that id or secret is there already.
#[derive(Debug, thiserror::Error)]
#[error("its id or its secret is there already")]
pub(super) struct Duplicate;

impl Tables {
    pub(super) fn session(&self, id: &SessionId) -> Option<&Session> {
        self.sessions.get(id)
    }

    pub(super) fn session_mut(&mut self, id: &SessionId) -> Option<&mut Session> {
        self.sessions.get_mut(id)
    }

    pub(super) fn session_by_secret(&self, secret: &HashedToken) -> Option<&Session> {
        self.sessions_by_secret.get(secret).and_then(|id| self.sessions.get(id))
    }

    pub(super) fn sessions(&self) -> impl Iterator<Item = &Session> {
        self.sessions.values()
    }

    pub(super) fn insert_session(&mut self, session: Session) -> Result<(), Duplicate> {
        if self.sessions.contains_key(&session.id) || self.sessions_by_secret.contains_key(&session.secret) {
            return Err(Duplicate);
        }
        self.sessions_by_secret.insert(session.secret, session.id.clone());
        self.sessions_in_order.insert(self.next_session, session.id.clone());
        self.next_session += 1;
        self.sessions.insert(session.id.clone(), session);
        Ok(())
    }

    /// A user's sessions in the order in which they were remembered.
    pub(super) fn sessions_of_in_order(&self, user: &UserId) -> Vec<SessionId> {
        let of_user = |id: &&SessionId| self.sessions.get(*id).is_some_and(|session| session.user == *user);
        self.sessions_in_order.values().filter(of_user).cloned().collect()
    }

    /// Remove the sessions that `ends` names, with their refresh tokens; in the order of their ids.
    pub(super) fn remove_sessions(&mut self, mut ends: impl FnMut(&Session) -> bool) -> Vec<RemovedSession> {
        let removed: Vec<Session> = self.sessions.extract_if(.., |_, session| ends(session)).map(|(_, s)| s).collect();
        for session in &removed {
            self.sessions_by_secret.remove(&session.secret);
        }
        let ids: HashSet<&SessionId> = removed.iter().map(|session| &session.id).collect();
        if !ids.is_empty() {
            self.refresh_tokens.retain(|_, token| !ids.contains(&token.session));
            self.families.retain(|session, _| !ids.contains(session));
            self.sessions_in_order.retain(|_, session| !ids.contains(session));
        }
        let removed = removed.into_iter();
        removed.map(|Session { id, last_seen_at, .. }| RemovedSession { id, last_seen_at }).collect()
    }

    pub(super) fn api_keys(&self) -> impl Iterator<Item = &ApiKey> {
        self.api_keys.values()
    }

    pub(super) fn api_key_by_secret(&self, secret: &HashedToken) -> Option<&ApiKey> {
        self.api_keys_by_secret.get(secret).and_then(|id| self.api_keys.get(id))
    }

    pub(super) fn insert_api_key(&mut self, key: ApiKey) -> Result<(), Duplicate> {
        if self.api_keys.contains_key(&key.id) || self.api_keys_by_secret.contains_key(&key.secret) {
            return Err(Duplicate);
        }
        self.api_keys_by_secret.insert(key.secret, key.id.clone());
        self.api_keys.insert(key.id.clone(), key);
        Ok(())
    }

    /// Remove the keys that `ends` names; their ids in order.
    pub(super) fn remove_api_keys(&mut self, mut ends: impl FnMut(&ApiKey) -> bool) -> Vec<ApiKeyId> {
        let removed: Vec<ApiKey> = self.api_keys.extract_if(.., |_, key| ends(key)).map(|(_, key)| key).collect();
        for key in &removed {
            self.api_keys_by_secret.remove(&key.secret);
        }
        removed.into_iter().map(|key| key.id).collect()
    }

    pub(super) fn revocations(&self) -> impl Iterator<Item = &Revocation> {
        self.revocations.values()
    }

    pub(super) fn remember_revocation(&mut self, revocation: &Revocation) {
        let number = *self.revocations_by_target.entry(key_of(revocation)).or_insert(self.next_revocation);
        if let Some(first) = self.revocations.get_mut(&number) {
            first.forget_at = first.forget_at.max(revocation.forget_at);
            match (&mut first.target, &revocation.target) {
                (
                    RevocationTarget::User { issued_before, except, .. },
                    RevocationTarget::User { issued_before: later, except: new, .. },
                ) => {
                    *issued_before = (*issued_before).max(*later);
                    except.clone_from(new);
                }
                (
                    RevocationTarget::IssuerSubject { issued_before, .. },
                    RevocationTarget::IssuerSubject { issued_before: later, .. },
                ) => *issued_before = (*issued_before).max(*later),
                _ => {}
            }
        } else {
            self.revocations.insert(number, revocation.clone());
            self.next_revocation += 1;
        }
    }

    /// Forget the revocations that `over` names; how many.
    pub(super) fn forget_revocations(&mut self, mut over: impl FnMut(&Revocation) -> bool) -> u64 {
        let mut forgotten = 0;
        for (_, revocation) in self.revocations.extract_if(.., |_, revocation| over(revocation)) {
            self.revocations_by_target.remove(&key_of(&revocation));
            forgotten += 1;
        }
        forgotten
    }
}
