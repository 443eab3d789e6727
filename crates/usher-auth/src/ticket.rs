//! A single-use ticket: what it stands for, and what it is bound to.

use crate::permit::{CredentialFacts, Principal};
use crate::time::UnixTime;

/// What a ticket store keeps under the hash of a ticket. It is taken out by the first presentation, whatever comes of it
/// (req D3, D7).
#[derive(Clone, Debug)]
pub struct Ticket {
    /// Who bought it.
    pub principal: Principal,
    /// The credential it was bought with: when that is revoked or expires, so is this (req D6).
    pub credential: CredentialFacts,
    /// When the buyer's credential ends; what a connection opened with the ticket may last.
    pub credential_expires_at: Option<UnixTime>,
    /// When the ticket itself ends, at most 60 s after it was issued (req D4).
    pub expires_at: UnixTime,
    /// The `Origin` it was bought from; the upgrade must bring the same one.
    pub origin: Option<String>,
    /// The path it was bought for; the upgrade must ask for the same one.
    pub path: Option<String>,
}
