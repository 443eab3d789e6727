//! The proof that somebody was verified. Nothing is joined, published or forwarded without one, and only [`crate::verify`] makes
//! them: the fields are private.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::credential::Carrier;
use crate::ids::{ApiKeyId, IssuerName, IssuerSessionId, IssuerSubject, Role, SessionId, TokenId, UserId};
use crate::time::UnixTime;

/// Who somebody is and what is known of them that a right may depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Unique over all sources: see [`UserId`].
    pub id: UserId,
    /// For people to read.
    pub name: String,
    /// Sorted, without repetition.
    pub roles: Vec<Role>,
    /// The token's claims that room rules ask for, each with its values as text. Claims nobody asks for are not kept.
    pub claims: BTreeMap<String, Vec<String>>,
    /// Let in without a credential, by a route that says so.
    pub anonymous: bool,
}

/// By what a credential can be revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialFacts {
    /// Whose it is.
    pub user: UserId,
    /// The session it belongs to, if it does.
    pub session: Option<SessionId>,
    /// The token's `jti`, with the issuer that gave it (`None` is ourselves): two issuers may give the same (req G8).
    pub token: Option<(Option<IssuerName>, TokenId)>,
    /// The API key, if it is one.
    pub api_key: Option<ApiKeyId>,
    /// What the token of another issuer says of that issuer's own user and session: a log-out there names just these. Boxed, as most credentials have none
    /// and every connection keeps these facts.
    pub issued_by: Option<Box<IssuedBy>>,
    /// When it was issued: a JWT's `iat` in whole seconds, else to the millisecond.
    pub issued_at: UnixTime,
    /// When its user's roles were read from our store; `None` if somebody else says what roles they have.
    pub roles_read_at: Option<UnixTime>,
}

/// Another issuer's own names for the user and the session that a token of it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedBy {
    /// The issuer.
    pub issuer: IssuerName,
    /// `sub`, before it is mapped to a user of ours.
    pub subject: IssuerSubject,
    /// `sid` (OpenID Connect Back-Channel Logout 1.0 §2.1), if the token has one.
    pub session: Option<IssuerSessionId>,
}

/// A verified identity, how it was shown, and how long it holds. Only [`crate::verify`] makes one; a clone or [`Permit::capped_at`] gives
/// no more than there was.
#[derive(Clone, Debug)]
pub struct Permit {
    principal: Arc<Principal>,
    carrier: Option<Carrier>,
    credential: Arc<CredentialFacts>,
    expires_at: Option<UnixTime>,
}

impl Permit {
    pub(crate) fn new(
        principal: impl Into<Arc<Principal>>,
        carrier: Option<Carrier>,
        credential: impl Into<Arc<CredentialFacts>>,
        expires_at: Option<UnixTime>,
    ) -> Self {
        Self { principal: principal.into(), carrier, credential: credential.into(), expires_at }
    }

    /// Who was let in.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// How the credential was presented; `None` for anonymous visitors.
    pub fn carrier(&self) -> Option<Carrier> {
        self.carrier
    }

    /// By what it can be revoked.
    pub fn credential(&self) -> &CredentialFacts {
        &self.credential
    }

    /// The same, shared: for whoever keeps it beside the connection.
    pub fn shared_credential(&self) -> Arc<CredentialFacts> {
        self.credential.clone()
    }

    /// When it ends; `None` is never.
    pub fn expires_at(&self) -> Option<UnixTime> {
        self.expires_at
    }

    /// Whether it has ended by the wall clock, which goes on while a machine sleeps (req H2).
    pub fn has_ended(&self, now: UnixTime) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }

    /// The same permit, with another end: its session was used.
    pub(crate) fn until(mut self, end: UnixTime) -> Self {
        self.expires_at = Some(end);
        self
    }

    /// The same permit, ending no later than `limit`: how a route's `max_age` caps it.
    #[must_use]
    pub fn capped_at(mut self, limit: UnixTime) -> Self {
        self.expires_at = Some(self.expires_at.map_or(limit, |own| own.min(limit)));
        self
    }
}
