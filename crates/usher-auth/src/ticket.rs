//! A single-use ticket: what it stands for, and what it is bound to.

mod record;

use crate::permit::{CredentialFacts, Permit, Principal};
use crate::time::UnixTime;

pub use record::TicketRecordKey;

/// What a ticket store keeps under the hash of a ticket. It is taken out by the first presentation, whatever comes of it
/// (req D3, D7).
///
/// Its holder is let in as its buyer, so only a buyer's permit makes one, or a record that was made of such a ticket with the same
/// [`TicketRecordKey`]. It cannot be written down:
///
/// ```compile_fail
/// use usher_auth::UnixTime;
/// use usher_auth::permit::{CredentialFacts, Principal};
/// use usher_auth::ticket::Ticket;
///
/// fn forge(principal: Principal, credential: CredentialFacts) -> Ticket {
///     let credential_expires_at = None;
///     Ticket { principal, credential, credential_expires_at, expires_at: UnixTime::MAX, origin: None, path: None }
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Ticket {
    pub(crate) principal: Principal,
    pub(crate) credential: CredentialFacts,
    pub(crate) credential_expires_at: Option<UnixTime>,
    pub(crate) expires_at: UnixTime,
    pub(crate) origin: Option<String>,
    pub(crate) path: Option<String>,
}

impl Ticket {
    /// A ticket for the holder of `permit`. It ends at `expires_at`, at most 60 s after it was issued (req D4). The upgrade must bring the
    /// same `origin` and ask for the same `path`, where they are given.
    pub fn bought_with(permit: &Permit, expires_at: UnixTime, origin: Option<String>, path: Option<String>) -> Self {
        Self {
            principal: permit.principal().clone(),
            credential: permit.credential().clone(),
            credential_expires_at: permit.expires_at(),
            expires_at,
            origin,
            path,
        }
    }

    /// The credential it was bought with: when that is revoked or expires, so is this (req D6).
    pub fn credential(&self) -> &CredentialFacts {
        &self.credential
    }

    /// When the ticket itself ends.
    pub fn expires_at(&self) -> UnixTime {
        self.expires_at
    }
}
