//! For tests: what only verification makes, made without it.
//!
//! Behind the feature `test-util`, which no crate enables but for its tests; `cargo xtask tidy` looks that it stays so.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ids::{ConnectionId, IssuerName, Role, SessionId, TokenId, UserId};
use crate::jwt::{VerifiedSessionKey, VerifiedToken};
use crate::permit::{CredentialFacts, IssuedBy, Permit, Principal};
use crate::ticket::Ticket;
use crate::time::{Now, UnixTime};
use crate::verify::{self, TokenBearer};

/// What a token would prove.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "as the methods of VerifiedToken")]
pub struct UnverifiedToken {
    pub user: UserId,
    pub issuer: Option<IssuerName>,
    pub name: String,
    pub roles: Vec<Role>,
    pub claims: BTreeMap<String, Vec<String>>,
    pub token_id: Option<TokenId>,
    pub session: Option<SessionId>,
    pub issued_by: Option<IssuedBy>,
    pub issued_at: UnixTime,
    pub skew: Duration,
    pub expires_at: UnixTime,
    pub key_id: Option<String>,
}

impl From<UnverifiedToken> for VerifiedToken {
    fn from(token: UnverifiedToken) -> Self {
        let UnverifiedToken { user, issuer, name, roles, claims, token_id, session, issued_by, .. } = token;
        let UnverifiedToken { issued_at, skew, expires_at, key_id, .. } = token;
        Self {
            user,
            issuer,
            name,
            roles,
            claims,
            token_id,
            session,
            issued_by: issued_by.map(Box::new),
            issued_at,
            skew,
            expires_at,
            key_id,
        }
    }
}

impl From<UnverifiedToken> for TokenBearer {
    fn from(token: UnverifiedToken) -> Self {
        VerifiedToken::from(token).into()
    }
}

/// A ticket that was never issued.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "as the arguments and methods of Ticket")]
pub struct UnboughtTicket {
    pub principal: Principal,
    pub credential: CredentialFacts,
    pub credential_expires_at: Option<UnixTime>,
    pub expires_at: UnixTime,
    pub origin: Option<String>,
    pub path: Option<String>,
}

impl From<UnboughtTicket> for Ticket {
    fn from(ticket: UnboughtTicket) -> Self {
        let UnboughtTicket { principal, credential, credential_expires_at, expires_at, origin, path } = ticket;
        Self { principal, credential, credential_expires_at, expires_at, origin, path }
    }
}

/// What a session key would prove.
pub fn session_key(user: &UserId, session: &SessionId) -> VerifiedSessionKey {
    VerifiedSessionKey { user: user.clone(), session: session.clone() }
}

/// A visitor without a credential, on no route.
pub fn visitor(connection: ConnectionId, now: Now) -> Permit {
    verify::visitor(connection, now)
}
