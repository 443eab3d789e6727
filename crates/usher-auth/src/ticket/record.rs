//! A ticket as a text that another process can keep: for ticket stores outside the process.
//!
//! Whoever presents a ticket gets its buyer's permit, so reading one back must not be a way to forge one. A record is therefore as
//! trusted as a ticket in the in-memory store, and no more, because only what a holder of the key wrote is read: the record has an
//! authentication code (HMAC-SHA-256) over the record and the hash that it is kept under. Whoever can write to the store, and has no
//! [`TicketRecordKey`], can
//!
//! - neither make nor change a record: a user cannot be let in as another one;
//! - nor move a record to another hash: its secret is known to its buyer alone;
//! - remove records, which refuses tickets and lets nothing in;
//! - put a record back that was redeemed. Its ticket then counts twice, for its buyer, until it expires (at most 60 s).
//!
//! The key is as secret as the keys that sign tokens, the same on all nodes, and never in the store.

use std::collections::BTreeMap;
use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Ticket;
use crate::ids::{ApiKeyId, IssuerName, IssuerSessionId, IssuerSubject, Role, SessionId, TokenId, UserId};
use crate::permit::{CredentialFacts, IssuedBy, Principal};
use crate::record::{self, RecordError};
use crate::secret::HashedToken;
use crate::time::UnixTime;

/// The version that is written, and the only one that is read.
const VERSION: u64 = 1;
/// Keeps these authentication codes apart from others that the same key might make.
const CONTEXT: &[u8] = b"usher ticket record v1:";

/// What authenticates the records of tickets. All nodes that redeem each other's tickets have the same one.
#[derive(Clone)]
pub struct TicketRecordKey(hmac::Key);

impl TicketRecordKey {
    /// From 32 secret bytes.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }
}

impl fmt::Debug for TicketRecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketRecordKey(…)")
    }
}

impl Ticket {
    /// The ticket as versioned JSON, to be kept under `secret`. It holds no credential.
    pub fn to_record(&self, secret: &HashedToken, key: &TicketRecordKey) -> String {
        let ticket = record::body(&TicketFields::from(self));
        let code = hmac::sign(&key.0, &authenticated(secret, &ticket));
        record::write(VERSION, &Authenticated { code: URL_SAFE_NO_PAD.encode(code), ticket })
    }

    /// Reads what [`Ticket::to_record`] wrote with the same `key` for the same `secret`. Anything else is an error.
    pub fn from_record(text: &str, secret: &HashedToken, key: &TicketRecordKey) -> Result<Self, RecordError> {
        let Authenticated { ticket, code } = record::read(VERSION, text)?;
        let code = URL_SAFE_NO_PAD.decode(code).map_err(|_| RecordError::Forged)?;
        hmac::verify(&key.0, &authenticated(secret, &ticket), &code).map_err(|_| RecordError::Forged)?;
        let fields: TicketFields =
            serde_json::from_str(ticket.get()).map_err(|error| RecordError::Malformed { column: error.column() })?;
        Ok(fields.into())
    }
}

fn authenticated(secret: &HashedToken, ticket: &RawValue) -> Vec<u8> {
    // The first two parts have fixed lengths, so that no other pair gives the same bytes.
    [CONTEXT, secret.as_bytes(), ticket.get().as_bytes()].concat()
}

#[derive(Serialize, Deserialize)]
struct Authenticated {
    code: String,
    ticket: Box<RawValue>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TicketFields {
    principal: PrincipalFields,
    credential: CredentialFields,
    credential_expires_at: Option<UnixTime>,
    expires_at: UnixTime,
    origin: Option<String>,
    path: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PrincipalFields {
    id: UserId,
    name: String,
    roles: Vec<Role>,
    claims: BTreeMap<String, Vec<String>>,
    anonymous: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CredentialFields {
    user: UserId,
    session: Option<SessionId>,
    token: Option<TokenFields>,
    api_key: Option<ApiKeyId>,
    issued_by: Option<IssuedByFields>,
    issued_at: UnixTime,
    roles_read_at: Option<UnixTime>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct IssuedByFields {
    issuer: IssuerName,
    subject: IssuerSubject,
    session: Option<IssuerSessionId>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenFields {
    issuer: Option<IssuerName>,
    id: TokenId,
}

impl From<&Ticket> for TicketFields {
    fn from(ticket: &Ticket) -> Self {
        let Ticket { principal, credential, credential_expires_at, expires_at, origin, path } = ticket.clone();
        Self {
            principal: principal.into(),
            credential: credential.into(),
            credential_expires_at,
            expires_at,
            origin,
            path,
        }
    }
}

impl From<TicketFields> for Ticket {
    fn from(fields: TicketFields) -> Self {
        let TicketFields { principal, credential, credential_expires_at, expires_at, origin, path } = fields;
        Self {
            principal: principal.into(),
            credential: credential.into(),
            credential_expires_at,
            expires_at,
            origin,
            path,
        }
    }
}

impl From<Principal> for PrincipalFields {
    fn from(principal: Principal) -> Self {
        let Principal { id, name, roles, claims, anonymous } = principal;
        Self { id, name, roles, claims, anonymous }
    }
}

impl From<PrincipalFields> for Principal {
    fn from(fields: PrincipalFields) -> Self {
        let PrincipalFields { id, name, roles, claims, anonymous } = fields;
        Self { id, name, roles, claims, anonymous }
    }
}

impl From<IssuedBy> for IssuedByFields {
    fn from(issued_by: IssuedBy) -> Self {
        let IssuedBy { issuer, subject, session } = issued_by;
        Self { issuer, subject, session }
    }
}

impl From<IssuedByFields> for IssuedBy {
    fn from(fields: IssuedByFields) -> Self {
        let IssuedByFields { issuer, subject, session } = fields;
        Self { issuer, subject, session }
    }
}

impl From<CredentialFacts> for CredentialFields {
    fn from(facts: CredentialFacts) -> Self {
        let CredentialFacts { user, session, token, api_key, issued_by, issued_at, roles_read_at } = facts;
        let token = token.map(|(issuer, id)| TokenFields { issuer, id });
        let issued_by = issued_by.map(|issued_by| IssuedByFields::from(*issued_by));
        Self { user, session, token, api_key, issued_by, issued_at, roles_read_at }
    }
}

impl From<CredentialFields> for CredentialFacts {
    fn from(fields: CredentialFields) -> Self {
        let CredentialFields { user, session, token, api_key, issued_by, issued_at, roles_read_at } = fields;
        let token = token.map(|TokenFields { issuer, id }| (issuer, id));
        let issued_by = issued_by.map(|issued_by| Box::new(issued_by.into()));
        Self { user, session, token, api_key, issued_by, issued_at, roles_read_at }
    }
}

#[cfg(test)]
mod tests;
