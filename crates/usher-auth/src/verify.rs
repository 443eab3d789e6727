//! The decisions: from a credential and what was looked up about it to a [`Permit`], or a [`Refusal`].
//!
//! Every carrier ends here, so that revocation, disabling and expiry hold for all of them alike (req C6). These are functions of
//! their arguments: the caller does the look-ups.
//!
//! What a client says is believed only as a type that verification made: [`VerifiedToken`], [`VerifiedSessionKey`] and [`TokenBearer`]
//! have private fields, and a [`Ticket`] is made of its buyer's permit. The records of the store ([`Session`], [`User`], [`ApiKey`]) are
//! plain data, because backends of other crates read them: they are believed as the store is, which can say anything. The caller finds them
//! by the hash of what the client presented. There is no other way to a [`Permit`]:
//!
//! ```compile_fail
//! use usher_auth::Permit;
//! use usher_auth::permit::{CredentialFacts, Principal};
//!
//! fn forge(principal: Principal, credential: CredentialFacts) -> Permit {
//!     Permit::new(principal, None, credential, None)
//! }
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::api_key::ApiKey;
use crate::credential::Carrier;
use crate::ids::{ConnectionId, UserId};
use crate::jwt::{VerifiedSessionKey, VerifiedToken};
use crate::permit::{CredentialFacts, Permit, Principal};
use crate::refusal::{Refusal, RefusalKind};
use crate::revocation::{RevocationCause, RevocationIndex};
use crate::route::RouteRules;
use crate::session::{Session, SessionLimits};
use crate::session_renewal::SessionRenewal;
use crate::ticket::Ticket;
use crate::time::{Now, UnixTime};
use crate::user::User;

/// What every decision needs to know.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// How the credential was presented.
    pub carrier: Carrier,
    /// When.
    pub now: Now,
    /// What has been revoked.
    pub revoked: &'a RevocationIndex,
}

/// Let in the holder of a session cookie.
///
/// `read_at` is when `user` was read, at the latest.
pub fn session(
    session: &Session,
    user: Option<&User>,
    read_at: UnixTime,
    limits: SessionLimits,
    at: Circumstances<'_>,
) -> Result<Permit, Refusal> {
    let expires_at = session.expires_at(limits);
    let facts = CredentialFacts {
        user: session.user.clone(),
        session: Some(session.id.clone()),
        token: None,
        api_key: None,
        issued_by: None,
        issued_at: session.created_at,
        roles_read_at: Some(read_at),
    };
    let principal = local(user).map_err(|refusal| refusal.held_by(&facts, None))?;
    at.admit(principal, facts, Some(expires_at))
}

/// Who bears a token whose signature and claims have been verified. Whoever presents the same token again is let in with the same
/// one: what is in it is shared by all their connections. It is made of a [`VerifiedToken`] alone, and has private fields.
#[derive(Clone, Debug)]
pub struct TokenBearer {
    principal: Arc<Principal>,
    facts: Arc<CredentialFacts>,
    expires_at: UnixTime,
}

impl From<VerifiedToken> for TokenBearer {
    fn from(token: VerifiedToken) -> Self {
        let facts = facts_of(&token);
        let VerifiedToken { user: id, name, roles, claims, expires_at, .. } = token;
        let principal = Principal { id, name, roles, claims, anonymous: false };
        Self { principal: Arc::new(principal), facts: Arc::new(facts), expires_at }
    }
}

impl TokenBearer {
    /// When the token ends.
    pub fn expires_at(&self) -> UnixTime {
        self.expires_at
    }

    /// When the roles were read from our store, if the token is ours: at the latest when it was signed.
    pub fn roles_read_at(&self) -> Option<UnixTime> {
        self.facts.roles_read_at
    }

    /// About how many bytes of memory it takes: what a token says of roles and claims is as long as its issuer likes.
    pub fn footprint(&self) -> usize {
        let Principal { id, name, roles, claims, .. } = &*self.principal;
        let text = |text: &str| text.len() + size_of::<String>();
        let claim = |(name, values): (&String, &Vec<String>)| {
            text(name) + values.iter().map(|value| text(value)).sum::<usize>()
        };
        size_of::<Principal>()
            + size_of::<CredentialFacts>()
            + text(id.as_str())
            + text(name)
            + self.facts.issued_by.as_ref().map_or(0, |issued_by| {
                text(issued_by.subject.as_str())
                    + issued_by.session.as_ref().map_or(0, |session| text(session.as_str()))
            })
            + roles.iter().map(|role| text(role.as_str())).sum::<usize>()
            + claims.iter().map(claim).sum::<usize>()
    }
}

/// Let in the bearer of a token.
pub fn token(bearer: impl Into<TokenBearer>, at: Circumstances<'_>) -> Result<Permit, Refusal> {
    let bearer = bearer.into();
    at.admit(bearer.principal, bearer.facts, Some(bearer.expires_at))
}

/// Let in the bearer of a token who said whose it is.
pub fn token_of(bearer: impl Into<TokenBearer>, claimed: &UserId, at: Circumstances<'_>) -> Result<Permit, Refusal> {
    let bearer = bearer.into();
    if bearer.principal.id != *claimed {
        let refusal = Refusal::new(RefusalKind::Unauthorized, "the token is another user's");
        return Err(refusal.held_by(&bearer.facts, None));
    }
    token(bearer, at)
}

fn facts_of(token: &VerifiedToken) -> CredentialFacts {
    CredentialFacts {
        user: token.user.clone(),
        session: token.session.clone(),
        token: token.token_id.clone().map(|id| (token.issuer.clone(), id)),
        api_key: None,
        issued_by: token.issued_by.clone(),
        // A clock that is ahead must not carry a token past a revocation: refusing a good one costs one more log-in, admitting a
        // revoked one costs the door.
        issued_at: token.issued_at.minus(token.skew),
        // Our own tokens say what roles their user had; another issuer's say what it thinks.
        roles_read_at: token.issuer.is_none().then_some(token.issued_at),
    }
}

/// The session that a session key stands for, if it is there and all say the same of whose it is. Its holder is then let in by
/// [`session`], as if they had shown the cookie.
pub fn session_of_key(key: &VerifiedSessionKey, claimed: &UserId, found: Option<Session>) -> Result<Session, Refusal> {
    let refused = |detail| {
        let facts = CredentialFacts {
            user: key.user.clone(),
            session: Some(key.session.clone()),
            token: None,
            api_key: None,
            issued_by: None,
            issued_at: UnixTime::EPOCH,
            roles_read_at: None,
        };
        Err(Refusal::new(RefusalKind::Unauthorized, detail).held_by(&facts, None))
    };
    match found {
        _ if key.user != *claimed => refused("the session key is another user's"),
        None => refused("the session key's session has ended"),
        Some(session) if session.user != key.user => refused("the session key's session is another user's"),
        Some(session) => Ok(session),
    }
}

/// Let in the holder of an API key, who may have said whose it is. `read_at` is when `user` was read, at the latest.
pub fn api_key(
    key: &ApiKey,
    claimed_user: Option<&UserId>,
    user: Option<&User>,
    read_at: UnixTime,
    at: Circumstances<'_>,
) -> Result<Permit, Refusal> {
    let facts = CredentialFacts {
        user: key.user.clone(),
        session: None,
        token: None,
        api_key: Some(key.id.clone()),
        issued_by: None,
        issued_at: key.created_at,
        roles_read_at: Some(read_at),
    };
    if claimed_user.is_some_and(|claimed| *claimed != key.user) {
        let refusal = Refusal::new(RefusalKind::Unauthorized, "the API key is another user's");
        return Err(refusal.held_by(&facts, None));
    }
    let principal = local(user).map_err(|refusal| refusal.held_by(&facts, None))?;
    at.admit(principal, facts, key.expires_at)
}

/// Let in the bearer of a ticket, which has been spent by this presentation whatever is decided here (req D5, D7).
///
/// `origin` and `path` are those of the upgrade; a ticket is bound to each that it was given. A ticket in a first message was
/// bought for the same path.
pub fn ticket(ticket: Ticket, origin: Option<&str>, path: &str, at: Circumstances<'_>) -> Result<Permit, Refusal> {
    let refused = |kind, detail: &'static str| Err(Refusal::new(kind, detail).held_by(&ticket.credential, None));
    if at.now.unix >= ticket.expires_at {
        return refused(RefusalKind::SpentTicket, "the ticket is too old");
    }
    if ticket.path.as_deref().is_some_and(|bound| bound != path) {
        return refused(RefusalKind::TicketNotForHere, "the ticket was bought for another path");
    }
    if ticket.origin.is_some() && ticket.origin.as_deref() != origin {
        return refused(RefusalKind::TicketNotForHere, "the ticket was bought from another Origin");
    }
    at.admit(ticket.principal, ticket.credential, ticket.credential_expires_at)
}

/// Let in a client that presents nothing, if the route lets such visitors in. The route is an argument so that this cannot be left out:
///
/// ```compile_fail
/// use usher_auth::ids::ConnectionId;
/// use usher_auth::{Now, Permit, verify};
///
/// fn let_in(connection: ConnectionId, now: Now) -> Permit {
///     verify::anonymous(connection, now)
/// }
/// ```
pub fn anonymous(rules: &RouteRules, connection: ConnectionId, now: Now) -> Result<Permit, Refusal> {
    if rules.anonymous {
        Ok(visitor(connection, now))
    } else {
        Err(Refusal::new(RefusalKind::MissingCredential, "the route lets nobody in without a credential"))
    }
}

/// # Panics
/// Never: a connection's id makes a valid user id.
pub(crate) fn visitor(connection: ConnectionId, now: Now) -> Permit {
    let id = UserId::new(format!("anonymous:{connection}")).expect("a connection's id has no spaces");
    let principal = Principal {
        id: id.clone(),
        name: "Anonymous".to_owned(),
        roles: Vec::new(),
        claims: BTreeMap::new(),
        anonymous: true,
    };
    let facts = CredentialFacts {
        user: id,
        session: None,
        token: None,
        api_key: None,
        issued_by: None,
        issued_at: now.unix,
        roles_read_at: None,
    };
    Permit::new(principal, None, facts, None)
}

/// The permit of a connection whose session was proved anew; `None` if it is another session's.
///
/// What was let in by a token, or by a ticket bought with one, goes on with the session's new token, and never for a shorter time than
/// before; what was let in by the cookie goes on with the session.
///
/// It takes a permit to make one: a renewal admits no client by itself. It is of a permit's own session and user alone, and a [`SessionRenewal`] is
/// made of the store's records of both.
pub(crate) fn renewed_session(permit: &Permit, renewal: &SessionRenewal) -> Option<Permit> {
    let facts = permit.credential();
    if facts.session.as_ref() != Some(&renewal.session) || facts.user != renewal.user.id {
        return None;
    }
    // The renewal may have read the user before a change that is known here.
    let knows_better = facts.roles_read_at.is_some_and(|read_at| read_at > renewal.roles_read_at);
    let roles_read_at = if knows_better { facts.roles_read_at } else { Some(renewal.roles_read_at) };
    let mut facts = CredentialFacts { roles_read_at, ..facts.clone() };
    let expires_at = if facts.token.is_some() {
        facts.token = Some((None, renewal.token_id.clone()));
        facts.issued_at = renewal.issued_at;
        permit.expires_at().map_or(renewal.token_expires_at, |own| own.max(renewal.token_expires_at))
    } else {
        renewal.session_expires_at
    };
    let principal = local(Some(&renewal.user)).ok()?;
    let principal = if knows_better { permit.principal().clone() } else { with_claims_of(permit, principal) };
    Some(Permit::new(principal, permit.carrier(), facts, Some(expires_at)))
}

/// The permit of a connection whose user was changed in our store, as read at `read_at`; `None` if it is not about them, or another issuer
/// says what roles they have. It changes name and roles of a permit's own user and nothing else; its end stays.
pub(crate) fn changed_user(permit: &Permit, user: &User, read_at: UnixTime) -> Option<Permit> {
    let facts = permit.credential();
    if facts.user != user.id || facts.roles_read_at.is_none_or(|before| before > read_at) {
        return None;
    }
    let facts = CredentialFacts { roles_read_at: Some(read_at), ..facts.clone() };
    let principal = local(Some(user)).ok()?;
    Some(Permit::new(with_claims_of(permit, principal), permit.carrier(), facts, permit.expires_at()))
}

fn with_claims_of(permit: &Permit, principal: Principal) -> Principal {
    Principal { claims: permit.principal().claims.clone(), ..principal }
}

/// A local user as they are now, if there still is one and they are not disabled.
fn local(user: Option<&User>) -> Result<Principal, Refusal> {
    let user = user.ok_or_else(|| Refusal::new(RefusalKind::UserNotFound, "the credential's user no longer exists"))?;
    if user.disabled {
        return Err(Refusal::new(RefusalKind::Unauthorized, "the user is disabled"));
    }
    Ok(Principal {
        id: user.id.clone(),
        name: user.name.clone(),
        roles: user.roles.clone(),
        claims: BTreeMap::new(),
        anonymous: false,
    })
}

impl Circumstances<'_> {
    fn admit(
        &self,
        principal: impl Into<Arc<Principal>>,
        facts: impl Into<Arc<CredentialFacts>>,
        expires_at: Option<UnixTime>,
    ) -> Result<Permit, Refusal> {
        let facts = facts.into();
        // Revoked before expired: a session that was ended does not come back as "renew and try again".
        if let Some(cause) = self.revoked.check(&facts) {
            return Err(self.refused_as_revoked(cause).held_by(&facts, Some(cause)));
        }
        if expires_at.is_some_and(|end| end <= self.now.unix) {
            return Err(Refusal::new(RefusalKind::Expired, "the credential has ended").held_by(&facts, None));
        }
        Ok(Permit::new(principal, Some(self.carrier), facts, expires_at))
    }

    /// How a revoked credential is refused at the door. A live connection is closed with `CloseCause::Revoked` instead.
    fn refused_as_revoked(&self, cause: RevocationCause) -> Refusal {
        let kind = match (cause, self.carrier) {
            (RevocationCause::UserDeleted, _) => RefusalKind::UserNotFound,
            // The next one has the new roles.
            (RevocationCause::RolesChanged, _) => RefusalKind::Expired,
            // As it is once the session is gone from every cache.
            (_, Carrier::Cookie) => RefusalKind::InvalidSession,
            _ => RefusalKind::Unauthorized,
        };
        Refusal::new(kind, format!("the credential is revoked: {}", cause.as_str()))
    }
}
