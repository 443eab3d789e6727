//! What has been revoked, indexed by everything a credential can be revoked by.
//!
//! The index is asked once when a credential is verified and once more after its connection is registered; between the two no
//! revocation is lost, because whoever revokes writes here first and looks for registered connections second (req H5).

use std::collections::HashMap;
use std::hash::Hash;

use super::{BlockedUser, Revocation, RevocationCause, RevocationTarget};
use crate::ids::{ApiKeyId, IssuerName, IssuerSessionId, IssuerSubject, SessionId, TokenId, UserId};
use crate::permit::CredentialFacts;
use crate::time::UnixTime;

#[cfg(test)]
mod tests;

/// What ended of a user up to a moment. There is at most one for each of the two kinds: a later one includes an earlier one.
#[derive(Clone, Debug, Default)]
struct UserEntries {
    /// Another issuer's tokens.
    tokens: Option<UserEntry>,
    /// What says which roles the user had.
    roles: Option<RolesEntry>,
}

#[derive(Clone, Copy, Debug)]
struct UserEntry {
    issued_before: UnixTime,
    entry: Entry,
}

/// Roles that have changed, for as long as tokens live that say the old ones.
#[derive(Clone, Copy, Debug)]
struct RolesEntry {
    /// Tokens that were issued before, by the wall clock, say the old ones.
    tokens: UserEntry,
    /// The user has the old ones in what was read from the store before this. Unlike a wall clock, these moments never go back: see
    /// [`RevocationIndex::roles_read_before`].
    read_before: UnixTime,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    cause: RevocationCause,
    forget_at: UnixTime,
}

/// All revocations that still matter. Who shares it between threads puts the lock round it.
#[derive(Debug, Default)]
pub struct RevocationIndex {
    sessions: HashMap<SessionId, Entry>,
    users: HashMap<UserId, UserEntries>,
    tokens: HashMap<(Option<IssuerName>, TokenId), Entry>,
    api_keys: HashMap<ApiKeyId, Entry>,
    issuer_sessions: HashMap<(IssuerName, IssuerSessionId), Entry>,
    issuer_subjects: HashMap<(IssuerName, IssuerSubject), UserEntry>,
    blocked: HashMap<UserId, RevocationCause>,
}

impl RevocationIndex {
    /// Remember `revocation`. Remembering it twice is the same as once; of two the one that is remembered longer counts.
    pub fn insert(&mut self, revocation: &Revocation) {
        let entry = Entry { cause: revocation.cause, forget_at: revocation.forget_at };
        match &revocation.target {
            RevocationTarget::Session(id) => insert(&mut self.sessions, id.clone(), entry),
            RevocationTarget::User { user, issued_before, .. } => {
                let entries = self.users.entry(user.clone()).or_default();
                let new = UserEntry { issued_before: *issued_before, entry };
                if entry.cause.ends_sessions() {
                    entries.tokens = Some(entries.tokens.map_or(new, |old| old.with(new)));
                } else {
                    let new = RolesEntry { tokens: new, read_before: *issued_before };
                    entries.roles = Some(entries.roles.map_or(new, |old| old.with(new)));
                }
            }
            RevocationTarget::Token(issuer, id) => insert(&mut self.tokens, (issuer.clone(), id.clone()), entry),
            RevocationTarget::ApiKey(id) => insert(&mut self.api_keys, id.clone(), entry),
            RevocationTarget::IssuerSession(issuer, session) => {
                insert(&mut self.issuer_sessions, (issuer.clone(), session.clone()), entry);
            }
            RevocationTarget::IssuerSubject { issuer, subject, issued_before } => {
                let new = UserEntry { issued_before: *issued_before, entry };
                let kept = self.issuer_subjects.entry((issuer.clone(), subject.clone())).or_insert(new);
                *kept = kept.with(new);
            }
        }
    }

    /// The roles of `user` have changed, and readings of the user that began before this moment have the old ones. A process whose wall clock was
    /// set back gives its readings later moments than the clock says, and so must be told of this one.
    pub fn roles_read_before(&mut self, user: &UserId, moment: UnixTime) {
        if let Some(roles) = self.users.get_mut(user).and_then(|entries| entries.roles.as_mut()) {
            roles.read_before = roles.read_before.max(moment);
        }
    }

    /// Refuse every credential of a user, whatever it is and whenever it was issued, until [`Self::unblock`].
    pub fn block(&mut self, blocked: &BlockedUser) {
        self.blocked.insert(blocked.user.clone(), blocked.cause);
    }

    /// Refuse the credentials of a user no longer. What was revoked beside the blocking stays so.
    pub fn unblock(&mut self, user: &UserId) {
        self.blocked.remove(user);
    }

    /// The users who are blocked.
    pub fn blocked(&self) -> impl Iterator<Item = &UserId> {
        self.blocked.keys()
    }

    /// Why this credential is revoked, if it is.
    pub fn check(&self, facts: &CredentialFacts) -> Option<RevocationCause> {
        if let Some(cause) = self.blocked.get(&facts.user) {
            return Some(*cause);
        }
        if let Some(entry) = facts.session.as_ref().and_then(|id| self.sessions.get(id)) {
            return Some(entry.cause);
        }
        if let Some(entry) = facts.token.as_ref().and_then(|id| self.tokens.get(id)) {
            return Some(entry.cause);
        }
        if let Some(entry) = facts.api_key.as_ref().and_then(|id| self.api_keys.get(id)) {
            return Some(entry.cause);
        }
        if let Some(cause) = self.check_issuer(facts) {
            return Some(cause);
        }
        let entries = self.users.get(&facts.user)?;
        let tokens = entries.tokens.filter(|entry| entry.ends_token(facts));
        let roles = entries.roles.filter(|entry| entry.ends_roles(facts)).map(|entry| entry.tokens);
        tokens.or(roles).map(|entry| entry.entry.cause)
    }

    /// Why a token of another issuer is revoked by the names that the issuer gave.
    fn check_issuer(&self, facts: &CredentialFacts) -> Option<RevocationCause> {
        // Most servers have no entries of this kind, and their look-up needs a key of two names.
        if self.issuer_sessions.is_empty() && self.issuer_subjects.is_empty() {
            return None;
        }
        let issued_by = facts.issued_by.as_ref()?;
        let session = issued_by.session.clone().map(|session| (issued_by.issuer.clone(), session));
        if let Some(entry) = session.and_then(|session| self.issuer_sessions.get(&session)) {
            return Some(entry.cause);
        }
        let subject = self.issuer_subjects.get(&(issued_by.issuer.clone(), issued_by.subject.clone()));
        subject.filter(|entry| entry.ends_token(facts)).map(|entry| entry.entry.cause)
    }

    /// The moment of the last change of the roles of `user` that is remembered: what is read from then on has it.
    pub fn roles_changed_at(&self, user: &UserId) -> Option<UnixTime> {
        self.users.get(user)?.roles.map(|entry| entry.read_before)
    }

    /// Whether the roles of `user` changed after a reading that began at `read_at`.
    pub fn roles_changed_after(&self, user: &UserId, read_at: UnixTime) -> bool {
        self.roles_changed_at(user).is_some_and(|changed_at| read_at < changed_at)
    }

    /// Drop what no living credential can meet any more. Blocked users stay blocked.
    pub fn forget(&mut self, now: UnixTime) {
        let alive = |entry: &Entry| entry.forget_at > now;
        self.sessions.retain(|_, e| alive(e));
        self.tokens.retain(|_, e| alive(e));
        self.api_keys.retain(|_, e| alive(e));
        self.issuer_sessions.retain(|_, e| alive(e));
        self.issuer_subjects.retain(|_, e| alive(&e.entry));
        self.users.retain(|_, entries| {
            entries.tokens = entries.tokens.filter(|e| alive(&e.entry));
            entries.roles = entries.roles.filter(|e| alive(&e.tokens.entry));
            entries.tokens.is_some() || entries.roles.is_some()
        });
    }

    /// How many entries are held: at most two for each user, and one for each of everything else.
    pub fn len(&self) -> usize {
        let of_users = |e: &UserEntries| usize::from(e.tokens.is_some()) + usize::from(e.roles.is_some());
        self.sessions.len()
            + self.tokens.len()
            + self.api_keys.len()
            + self.issuer_sessions.len()
            + self.issuer_subjects.len()
            + self.blocked.len()
            + self.users.values().map(of_users).sum::<usize>()
    }

    /// Whether nothing is revoked.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The first cause stays, for as long as either asks.
fn insert<K: Eq + Hash>(map: &mut HashMap<K, Entry>, key: K, entry: Entry) {
    let kept = map.entry(key).or_insert(entry);
    kept.forget_at = kept.forget_at.max(entry.forget_at);
}

impl UserEntry {
    /// Both in one: the later moment with its cause, for as long as either asks.
    fn with(self, other: Self) -> Self {
        let later = if self.issued_before < other.issued_before { other } else { self };
        let forget_at = self.entry.forget_at.max(other.entry.forget_at);
        Self { entry: Entry { forget_at, ..later.entry }, ..later }
    }

    /// A token that belongs to no session of ours: another issuer's. One of the same second may be older: refusing a good one costs one
    /// more log-in at its issuer, admitting a revoked one lets in an intruder.
    fn ends_token(&self, facts: &CredentialFacts) -> bool {
        let other_issuers = facts.session.is_none() && facts.api_key.is_none();
        other_issuers && facts.issued_at.as_seconds() <= self.issued_before.as_seconds()
    }
}

impl RolesEntry {
    /// Both in one.
    fn with(self, other: Self) -> Self {
        Self { tokens: self.tokens.with(other.tokens), read_before: self.read_before.max(other.read_before) }
    }

    /// What says the old roles: a token that was issued before, or a reading.
    fn ends_roles(&self, facts: &CredentialFacts) -> bool {
        let changed_at = if facts.token.is_some() { self.tokens.issued_before } else { self.read_before };
        facts.roles_read_at.is_some_and(|read_at| read_at < changed_at)
    }
}
