//! What has been revoked, indexed by everything a credential can be revoked by.
//!
//! The index is asked once when a credential is verified and once more after its connection is registered; between the two no
//! revocation is lost, because whoever revokes writes here first and looks for registered connections second (req H5).

use std::collections::HashMap;

use crate::ids::{ApiKeyId, IssuerName, SessionId, TokenId, UserId};
use crate::permit::CredentialFacts;
use crate::time::UnixTime;

/// What a revocation ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RevocationTarget {
    /// A session with its cookie, access and refresh tokens.
    Session(SessionId),
    /// Everything of a user that was issued before a moment, perhaps but one session.
    User {
        /// Whose credentials.
        user: UserId,
        /// Those issued before this; [`UnixTime::MAX`] is all, also those to come.
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
}

impl RevocationCause {
    /// Every cause.
    pub const ALL: [Self; 9] = [
        Self::Logout,
        Self::LogoutEverywhere,
        Self::PasswordChanged,
        Self::UserDisabled,
        Self::RolesChanged,
        Self::UserDeleted,
        Self::KeyRevoked,
        Self::Administrator,
        Self::RefreshReuse,
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
        }
    }

    /// Whether it reaches the user's API keys, too. A key is a credential of its own, with a list, a label and a revocation of
    /// its own: it goes when its owner goes, not when the owner logs out or changes the password (nothing about a key is known
    /// to whoever knew the password). Killing it quietly would leave `key list` showing a key that opens nothing.
    pub const fn reaches_api_keys(self) -> bool {
        matches!(self, Self::UserDisabled | Self::UserDeleted)
    }

    /// Whether it ends the user's sessions. Other roles do not: the next token has them.
    pub const fn ends_sessions(self) -> bool {
        !matches!(self, Self::RolesChanged)
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

#[derive(Clone, Debug)]
struct UserEntry {
    issued_before: UnixTime,
    except: Option<SessionId>,
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
    users: HashMap<UserId, Vec<UserEntry>>,
    tokens: HashMap<(Option<IssuerName>, TokenId), Entry>,
    api_keys: HashMap<ApiKeyId, Entry>,
}

impl RevocationIndex {
    /// Remember `revocation`. Remembering it twice is the same as once.
    pub fn insert(&mut self, revocation: &Revocation) {
        let entry = Entry { cause: revocation.cause, forget_at: revocation.forget_at };
        match &revocation.target {
            RevocationTarget::Session(id) => {
                self.sessions.entry(id.clone()).or_insert(entry);
            }
            RevocationTarget::User { user, issued_before, except } => {
                let entries = self.users.entry(user.clone()).or_default();
                let same = |e: &UserEntry| {
                    e.issued_before == *issued_before && e.except == *except && e.entry.cause == entry.cause
                };
                if !entries.iter().any(same) {
                    entries.push(UserEntry { issued_before: *issued_before, except: except.clone(), entry });
                }
            }
            RevocationTarget::Token(issuer, id) => {
                self.tokens.entry((issuer.clone(), id.clone())).or_insert(entry);
            }
            RevocationTarget::ApiKey(id) => {
                self.api_keys.entry(id.clone()).or_insert(entry);
            }
        }
    }

    /// Take back what `cause` did to `user`: a disabled user was enabled again.
    pub fn lift(&mut self, user: &UserId, cause: RevocationCause) {
        if let Some(entries) = self.users.get_mut(user) {
            entries.retain(|e| e.entry.cause != cause);
            if entries.is_empty() {
                self.users.remove(user);
            }
        }
    }

    /// Why this credential is revoked, if it is.
    pub fn check(&self, facts: &CredentialFacts) -> Option<RevocationCause> {
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
        entries.iter().find(|e| e.ends(facts)).map(|e| e.entry.cause)
    }

    /// Whether the roles of `user` changed after `read_at`.
    pub fn roles_changed_after(&self, user: &UserId, read_at: UnixTime) -> bool {
        let entries = self.users.get(user).into_iter().flatten();
        entries.into_iter().any(|e| !e.entry.cause.ends_sessions() && read_at < e.issued_before)
    }

    /// Drop what no living credential can meet any more.
    pub fn forget(&mut self, now: UnixTime) {
        let alive = |entry: &Entry| entry.forget_at > now;
        self.sessions.retain(|_, e| alive(e));
        self.tokens.retain(|_, e| alive(e));
        self.api_keys.retain(|_, e| alive(e));
        self.users.retain(|_, entries| {
            entries.retain(|e| alive(&e.entry));
            !entries.is_empty()
        });
    }

    /// How many entries are held.
    pub fn len(&self) -> usize {
        self.sessions.len() + self.tokens.len() + self.api_keys.len() + self.users.values().map(Vec::len).sum::<usize>()
    }

    /// Whether nothing is revoked.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl UserEntry {
    fn ends(&self, facts: &CredentialFacts) -> bool {
        if !self.entry.cause.ends_sessions() {
            return facts.roles_read_at.is_some_and(|read_at| read_at < self.issued_before);
        }
        if facts.api_key.is_some() && !self.entry.cause.reaches_api_keys() {
            return false;
        }
        if facts.session.is_some() && facts.session == self.except {
            return false;
        }
        match (&facts.token, &facts.session) {
            // Our own token: `iat` has whole seconds. Those of an earlier second are older for certain; those of the same
            // second are decided by their session, because whoever revokes a user revokes each living session by its id.
            (Some((None, _)), Some(_)) => facts.issued_at.as_seconds() < self.issued_before.as_seconds(),
            // Another issuer's token of the same second may be older: refusing a good one costs one more log-in, admitting a
            // revoked one costs the door.
            (Some(_), _) => facts.issued_at.as_seconds() <= self.issued_before.as_seconds(),
            (None, _) => facts.issued_at < self.issued_before,
        }
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

    fn user_revocation(before: i64, except: Option<&str>) -> Revocation {
        Revocation {
            target: RevocationTarget::User {
                user: UserId::new("alice").expect("valid"),
                issued_before: UnixTime::from_millis(before),
                except: except.map(|id| SessionId::new(id).expect("valid")),
            },
            cause: RevocationCause::PasswordChanged,
            at: UnixTime::from_millis(before),
            forget_at: UnixTime::from_millis(before + 10_000),
        }
    }

    #[test]
    fn a_user_is_revoked_up_to_a_moment_and_but_one_session() {
        let mut index = RevocationIndex::default();
        index.insert(&user_revocation(5_000, Some("kept")));
        index.insert(&user_revocation(5_000, Some("kept")));
        assert_eq!(index.len(), 1);
        assert_eq!(index.check(&facts("one", 4_999)), Some(RevocationCause::PasswordChanged));
        assert_eq!(index.check(&facts("one", 5_000)), None);
        assert_eq!(index.check(&facts("kept", 1_000)), None);
        index.forget(UnixTime::from_millis(15_000));
        assert!(index.is_empty());
    }

    #[test]
    fn an_api_key_goes_with_its_owner_and_not_with_a_password() {
        let mut key = facts("unused", 1_000);
        key.session = None;
        key.api_key = Some(ApiKeyId::new("key_1").expect("valid"));
        for cause in RevocationCause::ALL {
            let mut index = RevocationIndex::default();
            let mut revocation = user_revocation(5_000, None);
            revocation.cause = cause;
            index.insert(&revocation);
            let expected =
                [RevocationCause::UserDisabled, RevocationCause::UserDeleted].contains(&cause).then_some(cause);
            assert_eq!(index.check(&key), expected, "{cause:?}");
            index.insert(&Revocation {
                target: RevocationTarget::ApiKey(key.api_key.clone().expect("set")),
                ..revocation
            });
            assert_eq!(index.check(&key), Some(cause), "its own revocation ends it");
        }
    }

    #[test]
    fn tokens_of_the_same_second() {
        let mut index = RevocationIndex::default();
        index.insert(&user_revocation(5_500, None));
        let mut ours = facts("new", 5_000);
        ours.token = Some((None, TokenId::new("a").expect("valid")));
        assert_eq!(index.check(&ours), None, "a log-in right after a password change holds");
        let mut theirs = ours.clone();
        theirs.session = None;
        theirs.token = Some((Some(IssuerName::new("idp").expect("valid")), TokenId::new("a").expect("valid")));
        assert!(index.check(&theirs).is_some());
    }

    #[test]
    fn enabling_a_user_lifts_only_the_disabling() {
        let mut index = RevocationIndex::default();
        index.insert(&user_revocation(5_000, None));
        let mut disabled = user_revocation(UnixTime::MAX.as_millis(), None);
        disabled.cause = RevocationCause::UserDisabled;
        disabled.forget_at = UnixTime::MAX;
        index.insert(&disabled);
        assert!(index.check(&facts("x", 9_000)).is_some());
        index.lift(&UserId::new("alice").expect("valid"), RevocationCause::UserDisabled);
        assert!(index.check(&facts("x", 9_000)).is_none());
        assert!(index.check(&facts("x", 4_000)).is_some());
    }
}
