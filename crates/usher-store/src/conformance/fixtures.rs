//! Things to remember.

use usher_auth::api_key::ApiKey;
use usher_auth::ids::{ApiKeyId, Role, SessionId, UserId};
use usher_auth::permit::{CredentialFacts, Principal};
use usher_auth::revocation::{Revocation, RevocationCause, RevocationTarget};
use usher_auth::secret::{HashedToken, PlainToken, TokenKind};
use usher_auth::session::{RefreshState, RefreshToken, Session};
use usher_auth::test_util::UnboughtTicket;
use usher_auth::ticket::Ticket;
use usher_auth::user::User;
use usher_auth::{Now, UnixTime};

use crate::{CreateApiKey, RevocationTimes, Store};

/// `seconds` after some noon.
pub fn at(seconds: i64) -> UnixTime {
    UnixTime::from_seconds(1_800_000_000 + seconds)
}

/// Both clocks, of a process that began when the wall clock was set right.
pub fn clocks(unix: UnixTime) -> Now {
    Now { monotonic: unix.since(at(-100_000)), unix }
}

/// Both clocks, so many seconds after [`at`]`(0)` by the process's own and by a wall clock that was set.
pub fn set_clocks(passed: i64, wall: i64) -> Now {
    Now { unix: at(wall), ..clocks(at(passed)) }
}

/// The hash of a secret that no other `name` has.
pub fn secret(name: &str) -> HashedToken {
    assert!(name.len() <= 32, "a name of at most 32 bytes");
    let mut bytes = [0; 32];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    PlainToken::from_random(TokenKind::Session, bytes).hashed()
}

/// A user's id.
pub fn user_id(id: &str) -> UserId {
    UserId::new(id).expect("a valid id")
}

/// A session's id.
pub fn session_id(id: &str) -> SessionId {
    SessionId::new(id).expect("a valid id")
}

/// Roles, as they are given.
pub fn roles(names: &[&str]) -> Vec<Role> {
    names.iter().map(|name| Role::new(name).expect("a valid role")).collect()
}

/// A user with one role.
pub fn user(id: &str) -> User {
    User { id: user_id(id), name: format!("{id}'s name"), roles: roles(&["user"]), disabled: false, created_at: at(0) }
}

/// A session whose secret is [`secret`] of its id.
pub fn session(id: &str, user: &str, created: UnixTime) -> Session {
    Session {
        id: session_id(id),
        user: user_id(user),
        secret: secret(id),
        created_at: created,
        last_seen_at: created,
        client_ip: Some("192.0.2.7".to_owned()),
        user_agent: Some("Mozilla/5.0 (X11; Linux x86_64)".to_owned()),
    }
}

/// A fresh refresh token whose secret is [`secret`] of `name`, good from second 0 to second 1000.
pub fn refresh_token(name: &str, of: &Session) -> RefreshToken {
    RefreshToken {
        secret: secret(name),
        session: of.id.clone(),
        user: of.user.clone(),
        issued_at: at(0),
        expires_at: at(1000),
        state: RefreshState::Fresh,
    }
}

/// An API key whose secret is [`secret`] of its id.
pub fn api_key(id: &str, user: &str) -> ApiKey {
    ApiKey {
        id: ApiKeyId::new(id).expect("a valid id"),
        user: user_id(user),
        secret: secret(id),
        label: format!("{id}'s label"),
        created_at: at(0),
        expires_at: None,
    }
}

/// Adds an API key, and its user if there is none yet.
pub async fn add_api_key(store: &dyn Store, key: &ApiKey) {
    store.create_user(&User { id: key.user.clone(), ..user("any") }, None).await.expect("the store works");
    let created = store.create_api_key(key, usize::MAX).await.expect("the store works");
    assert_eq!(created, CreateApiKey::Created);
}

/// The times of a revocation at `when`, as [`revocation`] has them.
pub fn times(when: UnixTime) -> RevocationTimes {
    RevocationTimes { at: when, forget_at: UnixTime::from_millis(when.as_millis() + 1_000_000) }
}

/// A revocation at `when`, to be forgotten 1000 s later.
pub fn revocation(target: RevocationTarget, cause: RevocationCause, when: UnixTime) -> Revocation {
    times(when).revocation(target, cause)
}

/// A session as a target.
pub fn session_target(id: &str) -> RevocationTarget {
    RevocationTarget::Session(session_id(id))
}

/// A user as a target.
pub fn user_target(user: &str, issued_before: UnixTime, except: Option<&str>) -> RevocationTarget {
    RevocationTarget::User { user: user_id(user), issued_before, except: except.map(session_id) }
}

/// A ticket bought at `now` with a session or without, good for 30 s.
pub fn ticket(user: &str, session: Option<&str>, now: UnixTime) -> Ticket {
    unbought_ticket(user, session, now).into()
}

/// The same, to be changed.
pub fn unbought_ticket(user: &str, session: Option<&str>, now: UnixTime) -> UnboughtTicket {
    UnboughtTicket {
        principal: Principal {
            id: user_id(user),
            name: format!("{user}'s name"),
            roles: roles(&["user"]),
            claims: [("team".to_owned(), vec!["red".to_owned(), "blue".to_owned()])].into(),
            anonymous: false,
        },
        credential: CredentialFacts {
            user: user_id(user),
            session: session.map(session_id),
            token: None,
            api_key: None,
            issued_by: None,
            issued_at: now,
            roles_read_at: Some(now),
        },
        credential_expires_at: Some(UnixTime::from_millis(now.as_millis() + 600_000)),
        expires_at: UnixTime::from_millis(now.as_millis() + 30_000),
        origin: Some("https://app.example".to_owned()),
        path: Some("/ws".to_owned()),
    }
}
