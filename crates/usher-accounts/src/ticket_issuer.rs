//! Issues single-use tickets to those who are already authenticated.

use std::sync::Arc;
use std::time::Duration;

use usher_auth::secret::{PlainToken, TokenKind};
use usher_auth::ticket::Ticket;
use usher_auth::{Clock, Permit, Randomness, UnixTime};
use usher_store::{StoreError, TicketRejected, TicketStore};

/// Where tickets are bought. A cheap handle.
#[derive(Clone)]
pub struct TicketIssuer {
    tickets: Arc<dyn TicketStore>,
    lifetime: Duration,
    clock: Arc<dyn Clock>,
    randomness: Arc<dyn Randomness>,
}

/// Why no ticket was issued.
#[derive(Debug, thiserror::Error)]
pub enum TicketError {
    /// The buyer, or everybody together, has as many as there may be.
    #[error("too many outstanding tickets: {0:?}")]
    TooMany(TicketRejected),
    /// The store cannot be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl TicketIssuer {
    /// Tickets last `lifetime` (at most 60 s; req D4).
    pub fn new(
        tickets: Arc<dyn TicketStore>,
        lifetime: Duration,
        clock: Arc<dyn Clock>,
        randomness: Arc<dyn Randomness>,
    ) -> Self {
        Self { tickets, lifetime, clock, randomness }
    }

    /// A ticket for the holder of `permit`, bound to `origin` and `path` where they are given. With the moment it ends.
    pub async fn issue(
        &self,
        permit: &Permit,
        origin: Option<String>,
        path: Option<String>,
    ) -> Result<(PlainToken, UnixTime), TicketError> {
        let now = self.clock.now();
        let expires_at = now.unix.plus(self.lifetime);
        let secret = PlainToken::from_random(TokenKind::Ticket, self.randomness.bytes());
        let ticket = Ticket::bought_with(permit, expires_at, origin, path);
        match self.tickets.put(&secret.hashed(), ticket, now).await? {
            Ok(()) => Ok((secret, expires_at)),
            Err(rejected) => Err(TicketError::TooMany(rejected)),
        }
    }

    /// When somebody who has too many may try again: then the oldest has ended.
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }
}
