//! What has been revoked, indexed by everything a credential can be revoked by.
//!
//! The index is asked once when a credential is verified and once more after its connection is registered; between the two no
//! revocation is lost, because whoever revokes writes here first and looks for registered connections second (req H5).

use std::collections::HashMap;
use std::hash::Hash;

use crate::ids::{ApiKeyId, IssuerName, SessionId, TokenId, UserId};
use crate::permit::CredentialFacts;
use crate::time::UnixTime;

/// What a revocation ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RevocationTarget {
    /// A session with its cookie, access and refresh tokens.
    Session(SessionId),
    /// All sessions of a user that exist when it is carried out, perhaps but one, and tokens that another issuer gave the user before a
    /// moment.
    ///
    /// The sessions end by their ids: whoever carries this out revokes each one as [`Self::Session`]. The moment counts for other
    /// issuers' tokens alone, which belong to no session of ours. So a wall clock that was set neither spares a session nor ends a later
    /// one.
    User {
        /// Whose credentials.
        user: UserId,
        /// Another issuer's tokens end if they were issued before this, its leeway added.
        issued_before: UnixTime,
        /// "All but this one".
        except: Option<SessionId>,
    },
    /// One token by its `jti`, of an issuer (`None` is ourselves).
    Token(Option<IssuerName>, TokenId),
    /// One API key.
    ApiKey(ApiKeyId),
}

/// Why something was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RevocationCause {
    /// The user logged out.
    Logout,
    /// The user logged out everywhere.
    LogoutEverywhere,
    /// The password changed.
    PasswordChanged,
    /// The user was disabled.
    UserDisabled,
    /// The user has other roles: what says that they have the old ones ends, the session does not.
    RolesChanged,
    /// The user was removed.
    UserDeleted,
    /// The key was revoked.
    KeyRevoked,
    /// An administrator ended it.
    Administrator,
    /// A spent refresh token came back.
    RefreshReuse,
    /// Another issuer's user was banned.
    UserBanned,
    /// The user had as many sessions as one may have, and began another.
    SessionLimit,
}

impl RevocationCause {
    /// Every cause.
    pub const ALL: [Self; 11] = [
        Self::Logout,
        Self::LogoutEverywhere,
        Self::PasswordChanged,
        Self::UserDisabled,
        Self::RolesChanged,
        Self::UserDeleted,
        Self::KeyRevoked,
        Self::Administrator,
        Self::RefreshReuse,
        Self::UserBanned,
        Self::SessionLimit,
    ];

    /// Its stable name in the store, the audit and the metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::LogoutEverywhere => "logout_everywhere",
            Self::PasswordChanged => "password_changed",
            Self::UserDisabled => "user_disabled",
            Self::RolesChanged => "roles_changed",
            Self::UserDeleted => "user_deleted",
            Self::KeyRevoked => "key_revoked",
            Self::Administrator => "administrator",
            Self::RefreshReuse => "refresh_reuse",
            Self::UserBanned => "user_banned",
            Self::SessionLimit => "session_limit",
        }
    }

    /// Whether it ends the user's sessions. Other roles do not: the next token has them.
    pub const fn ends_sessions(self) -> bool {
        !matches!(self, Self::RolesChanged)
    }

    /// Whether it removes the user's API keys, too. A key is a credential of its own, with a list, a label and a revocation of
    /// its own: it goes when its owner goes, not when the owner logs out or changes the password (nothing about a key is known
    /// to an intruder who knew the password). A disabled user's keys stay, and are refused while the user is disabled.
    pub const fn removes_api_keys(self) -> bool {
        matches!(self, Self::UserDeleted)
    }

    /// The cause of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.as_str() == name)
    }
}

/// One revocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// What it ends.
    pub target: RevocationTarget,
    /// Why.
    pub cause: RevocationCause,
    /// When it was decided.
    pub at: UnixTime,
    /// When no credential it could end is alive any more, so that it may be forgotten.
    pub forget_at: UnixTime,
}

/// A user all of whose credentials are refused for as long as this stands: a disabled user of ours, or another issuer's banned one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockedUser {
    /// Who is refused.
    pub user: UserId,
    /// [`RevocationCause::UserDisabled`] or [`RevocationCause::UserBanned`].
    pub cause: RevocationCause,
}

/// What ended of a user up to a moment. There is at most one for each of the two kinds: a later one includes an earlier one.
#[derive(Clone, Debug, Default)]
struct UserEntries {
    /// Another issuer's tokens.
    tokens: Option<UserEntry>,
    /// What says which roles the user had.
    roles: Option<UserEntry>,
}

#[derive(Clone, Copy, Debug)]
struct UserEntry {
    issued_before: UnixTime,
    entry: Entry,
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
                let kind = if entry.cause.ends_sessions() { &mut entries.tokens } else { &mut entries.roles };
                let forget_at = kind.map_or(entry.forget_at, |old| old.entry.forget_at.max(entry.forget_at));
                let newer = kind.is_none_or(|old| old.issued_before < *issued_before);
                let current = if newer { Some(UserEntry { issued_before: *issued_before, entry }) } else { *kind };
                *kind = current.map(|user| UserEntry { entry: Entry { forget_at, ..user.entry }, ..user });
            }
            RevocationTarget::Token(issuer, id) => insert(&mut self.tokens, (issuer.clone(), id.clone()), entry),
            RevocationTarget::ApiKey(id) => insert(&mut self.api_keys, id.clone(), entry),
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
        let entries = self.users.get(&facts.user)?;
        let tokens = entries.tokens.filter(|entry| entry.ends_token(facts));
        let roles = entries.roles.filter(|entry| entry.ends_roles(facts.roles_read_at));
        tokens.or(roles).map(|entry| entry.entry.cause)
    }

    /// The moment of the last change of the roles of `user` that is remembered.
    pub fn roles_changed_at(&self, user: &UserId) -> Option<UnixTime> {
        self.users.get(user)?.roles.map(|entry| entry.issued_before)
    }

    /// Whether the roles of `user` changed after `read_at`.
    pub fn roles_changed_after(&self, user: &UserId, read_at: UnixTime) -> bool {
        let roles = self.users.get(user).and_then(|entries| entries.roles);
        roles.is_some_and(|entry| entry.ends_roles(Some(read_at)))
    }

    /// Drop what no living credential can meet any more. Blocked users stay blocked.
    pub fn forget(&mut self, now: UnixTime) {
        let alive = |entry: &Entry| entry.forget_at > now;
        self.sessions.retain(|_, e| alive(e));
        self.tokens.retain(|_, e| alive(e));
        self.api_keys.retain(|_, e| alive(e));
        self.users.retain(|_, entries| {
            entries.tokens = entries.tokens.filter(|e| alive(&e.entry));
            entries.roles = entries.roles.filter(|e| alive(&e.entry));
            entries.tokens.is_some() || entries.roles.is_some()
        });
    }

    /// How many entries are held: at most two for each user, and one for each session, token and key.
    pub fn len(&self) -> usize {
        let of_users = |e: &UserEntries| usize::from(e.tokens.is_some()) + usize::from(e.roles.is_some());
        self.sessions.len()
            + self.tokens.len()
            + self.api_keys.len()
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
    /// A token that belongs to no session of ours: another issuer's. One of the same second may be older: refusing a good one costs one
    /// more log-in at its issuer, admitting a revoked one lets in an intruder.
    fn ends_token(&self, facts: &CredentialFacts) -> bool {
        let other_issuers = facts.session.is_none() && facts.api_key.is_none();
        other_issuers && facts.issued_at.as_seconds() <= self.issued_before.as_seconds()
    }

    fn ends_roles(&self, read_at: Option<UnixTime>) -> bool {
        read_at.is_some_and(|read_at| read_at < self.issued_before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(session: &str, issued_at: i64) -> CredentialFacts {
        CredentialFacts {
            user: UserId::new("alice").expect("valid"),
            session: Some(SessionId::new(session).expect("valid")),
            token: None,
            api_key: None,
            issued_at: UnixTime::from_millis(issued_at),
            roles_read_at: None,
        }
    }

    fn user_revocation(before: i64) -> Revocation {
        Revocation {
            target: RevocationTarget::User {
                user: UserId::new("alice").expect("valid"),
                issued_before: UnixTime::from_millis(before),
                except: None,
            },
            cause: RevocationCause::PasswordChanged,
            at: UnixTime::from_millis(before),
            forget_at: UnixTime::from_millis(before + 10_000),
        }
    }

    fn of_issuer(issued_at: i64) -> CredentialFacts {
        let token = (Some(IssuerName::new("idp").expect("valid")), TokenId::new("a").expect("valid"));
        CredentialFacts { session: None, token: Some(token), ..facts("unused", issued_at) }
    }

    fn session_revocation(id: &str) -> Revocation {
        Revocation { target: RevocationTarget::Session(SessionId::new(id).expect("valid")), ..user_revocation(5_000) }
    }

    #[test]
    fn sessions_end_by_id_whatever_the_clock_said() {
        // req H3
        let mut index = RevocationIndex::default();
        index.insert(&user_revocation(5_000));
        index.insert(&session_revocation("made-while-the-clock-was-ahead"));
        let ended = facts("made-while-the-clock-was-ahead", 900_000);
        assert_eq!(index.check(&ended), Some(RevocationCause::PasswordChanged));
        assert_eq!(index.check(&facts("made-after-it-was-set-back", 1_000)), None);
        index.forget(UnixTime::from_millis(15_000));
        assert!(index.is_empty());
    }

    #[test]
    fn another_issuers_tokens_end_up_to_a_moment() {
        let mut index = RevocationIndex::default();
        index.insert(&user_revocation(5_500));
        assert!(index.check(&of_issuer(4_000)).is_some());
        assert!(index.check(&of_issuer(5_000)).is_some(), "one of the same second may be older");
        assert!(index.check(&of_issuer(0)).is_some(), "one that does not say when it was issued");
        assert_eq!(index.check(&of_issuer(6_000)), None);
    }

    #[test]
    fn a_later_revocation_of_a_user_includes_an_earlier_one() {
        let mut index = RevocationIndex::default();
        for before in [7_000, 5_000, 9_000, 6_000] {
            index.insert(&user_revocation(before));
            index.insert(&Revocation { cause: RevocationCause::RolesChanged, ..user_revocation(before) });
        }
        assert_eq!(index.len(), 2);
        assert!(index.check(&of_issuer(9_000)).is_some());
        assert_eq!(index.check(&of_issuer(10_000)), None);
        let read_at = |millis| index.roles_changed_after(&facts("x", 0).user, UnixTime::from_millis(millis));
        assert_eq!((read_at(8_999), read_at(9_000)), (true, false));
        index.forget(UnixTime::from_millis(18_999));
        assert_eq!(index.len(), 2, "remembered for as long as the longest asks");
    }

    #[test]
    fn an_api_key_ends_by_its_own_revocation() {
        let mut key = facts("unused", 1_000);
        key.session = None;
        key.api_key = Some(ApiKeyId::new("key_1").expect("valid"));
        for cause in RevocationCause::ALL {
            let mut index = RevocationIndex::default();
            index.insert(&Revocation { cause, ..user_revocation(5_000) });
            assert_eq!(index.check(&key), None, "{cause:?}");
            let target = RevocationTarget::ApiKey(key.api_key.clone().expect("set"));
            index.insert(&Revocation { target, cause, ..user_revocation(5_000) });
            assert_eq!(index.check(&key), Some(cause), "its own revocation ends it");
        }
    }

    #[test]
    fn a_blocked_user_is_refused_with_every_credential_until_unblocked() {
        // req C6
        let user = UserId::new("alice").expect("valid");
        let mut key = facts("unused", 9_000);
        (key.session, key.api_key) = (None, Some(ApiKeyId::new("key_1").expect("valid")));
        let all = [facts("one", 9_000), of_issuer(9_000), key];
        for cause in [RevocationCause::UserDisabled, RevocationCause::UserBanned] {
            let mut index = RevocationIndex::default();
            index.insert(&session_revocation("two"));
            index.block(&BlockedUser { user: user.clone(), cause });
            index.forget(UnixTime::MAX);
            assert!(all.iter().all(|facts| index.check(facts) == Some(cause)));
            index.unblock(&user);
            assert!(all.iter().all(|facts| index.check(facts).is_none()));
        }
    }

    #[test]
    fn what_is_revoked_twice_is_remembered_for_the_longer_time() {
        let mut index = RevocationIndex::default();
        let first = session_revocation("one");
        index.insert(&first);
        index.insert(&Revocation { forget_at: UnixTime::from_millis(99_000), ..first.clone() });
        index.insert(&first);
        index.forget(UnixTime::from_millis(98_999));
        assert!(index.check(&facts("one", 0)).is_some());
    }
}
