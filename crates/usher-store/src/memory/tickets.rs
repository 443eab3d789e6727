//! Tickets on one node.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use usher_auth::Now;
use usher_auth::ids::UserId;
use usher_auth::secret::HashedToken;
use usher_auth::ticket::Ticket;

use super::expiring::{Expiring, Moment};
use crate::{RedeemedTicket, StoreError, TicketBounds, TicketRejected, TicketStore};

/// How long after it would have expired a ticket is still known to have been one, in milliseconds: long enough that whoever
/// comes late or twice is told so.
const KNOWN_FOR: Moment = 60_000;

/// Where one node keeps its tickets: a bounded number of them, each taken out once.
///
/// A ticket's life is measured by the process's own clock: a wall clock that is set back brings none back and lengthens no ticket's life (req D4).
#[derive(Debug)]
pub struct MemoryTickets {
    bounds: TicketBounds,
    // Held for a few look-ups and never over an await. Taking a ticket out is one removal under this lock: that is what makes
    // it exactly once (req D3).
    tickets: Mutex<Tickets>,
}

#[derive(Debug, Default)]
struct Tickets {
    outstanding: Expiring<Box<Ticket>>,
    outstanding_of: HashMap<UserId, usize>,
    /// Spent or expired. Bounded like the outstanding ones; past that the one that would be forgotten next is forgotten early,
    /// which costs a less exact answer and nothing else.
    gone: Expiring<()>,
}

impl MemoryTickets {
    /// With no ticket in it yet.
    pub fn new(bounds: TicketBounds) -> Self {
        Self { bounds, tickets: Mutex::default() }
    }
}

#[async_trait]
impl TicketStore for MemoryTickets {
    async fn put(
        &self,
        secret: &HashedToken,
        ticket: Ticket,
        now: Now,
    ) -> Result<Result<(), TicketRejected>, StoreError> {
        // Made before the lock is taken, and dropped after it is released if there is no room.
        let user = ticket.credential().user.clone();
        let life = ticket.expires_at().since(now.unix);
        let ticket = Box::new(ticket);

        let mut tickets = self.tickets.lock();
        let moment = tickets.advance(now, self.bounds);
        if tickets.outstanding.contains(secret) || tickets.gone.contains(secret) {
            return Err(StoreError::new("remembering a ticket", "one of that secret is there already"));
        }
        if tickets.outstanding_of.get(&user).copied().unwrap_or(0) >= self.bounds.per_user {
            return Ok(Err(TicketRejected::TooManyForUser));
        }
        if tickets.outstanding.len() >= self.bounds.total {
            return Ok(Err(TicketRejected::Full));
        }
        let over_at = moment.saturating_add(millis(life));
        tickets.outstanding.insert(*secret, over_at, ticket);
        *tickets.outstanding_of.entry(user).or_insert(0) += 1;
        Ok(Ok(()))
    }

    async fn redeem(&self, secret: &HashedToken, now: Now) -> Result<RedeemedTicket, StoreError> {
        let mut tickets = self.tickets.lock();
        tickets.advance(now, self.bounds);
        let Some((over_at, ticket)) = tickets.outstanding.remove(secret) else {
            let known = tickets.gone.contains(secret);
            return Ok(if known { RedeemedTicket::Gone } else { RedeemedTicket::Unknown });
        };
        tickets.bury(*secret, over_at, &ticket, self.bounds);
        // It is not over by the process's clock; by the wall clock it may be, which was set forward.
        Ok(if ticket.expires_at() <= now.unix { RedeemedTicket::Gone } else { RedeemedTicket::Good(ticket) })
    }
}

impl Tickets {
    /// Note the time, and put away what is over by it: each ticket twice in its life, so that calls share the work.
    fn advance(&mut self, now: Now, bounds: TicketBounds) -> Moment {
        let moment = millis(now.monotonic);
        while let Some((secret, over_at, ticket)) = self.outstanding.pop_over(moment) {
            self.bury(secret, over_at, &ticket, bounds);
        }
        while self.gone.pop_over(moment).is_some() {}
        moment
    }

    /// Count out a ticket that is no longer outstanding, and remember that it was one.
    fn bury(&mut self, secret: HashedToken, over_at: Moment, ticket: &Ticket, bounds: TicketBounds) {
        let user = &ticket.credential().user;
        if let Some(count) = self.outstanding_of.get_mut(user) {
            *count -= 1;
            if *count == 0 {
                self.outstanding_of.remove(user);
            }
        }
        self.gone.insert(secret, over_at.saturating_add(KNOWN_FOR), ());
        if self.gone.len() > bounds.total {
            self.gone.pop_first();
        }
    }
}

fn millis(duration: Duration) -> Moment {
    Moment::try_from(duration.as_millis()).unwrap_or(Moment::MAX)
}

#[cfg(test)]
mod tests;
