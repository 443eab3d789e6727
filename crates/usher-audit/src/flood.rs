//! Many records that are alike become one record with a count, so that failures cannot fill the disk.
//!
//! There are three budgets, and one cannot use up another: what verified users do, what fails about a user that exists, and what any
//! client can cause without a credential. A record that stands for others keeps whom they were about and where most of them came from.

mod budget;

use std::time::Duration;

use usher_auth::Now;
use usher_auth::ids::UserId;

use self::budget::{Bounds, Budget, Key};
use super::{AuditEvent, Outcome, Record};

/// How long alike records are counted together.
const WINDOW: Duration = Duration::from_mins(1);
/// Records of one kind, from one source and about one user, that are written one by one within a window; the next ones are counted.
const SINGLE_PER_KEY: u32 = 20;
/// The same for joins: as many as the rooms that a connection may be in by default, and some more.
const SINGLE_JOINS_PER_KEY: u32 = 200;

/// What verified users do. Only a holder of a credential adds a user to it, so that its number of records is not bounded, but only its
/// memory: some 2 MB of keys.
const VERIFIED: Bounds = Bounds { singles: u32::MAX, singles_per_subject: u32::MAX, keys: 10_000, subject_groups: 0 };
/// What fails about users that exist: wrong passwords, credentials that are revoked or expired. 100 of one user, so that an attack on
/// one does not hide another; 256 users are counted apart beyond that, the others by kind: some 7 MB.
const NAMED: Bounds = Bounds { singles: 2_000, singles_per_subject: 100, keys: 2_000, subject_groups: 256 };
/// What any client can cause without a credential; the rest is counted by kind.
const ANONYMOUS: Bounds = Bounds { singles: 2_000, singles_per_subject: u32::MAX, keys: 2_000, subject_groups: 0 };

/// What the ids of visitors without a credential begin with. Each visit has a new one.
const VISITOR: &str = "anonymous:";

/// The records of the running window.
#[derive(Debug)]
pub(super) struct Flood {
    began: Duration,
    verified: Budget,
    named: Budget,
    anonymous: Budget,
}

impl Default for Flood {
    fn default() -> Self {
        let [verified, named, anonymous] = [VERIFIED, NAMED, ANONYMOUS].map(Budget::new);
        Self { began: Duration::ZERO, verified, named, anonymous }
    }
}

impl Flood {
    /// The record, if it is to be written by itself.
    pub(super) fn admit(&mut self, record: Record, now: Now) -> Option<Record> {
        if record.event.is_about_the_trail() {
            return Some(record);
        }
        let known = |user: &&UserId| !user.as_str().starts_with(VISITOR);
        let subject = record.subject.as_ref().filter(known).cloned();
        let budget = match (&subject, record.outcome) {
            // What no client caused: revocations and administration, which have no address.
            _ if record.ip.is_none() => &mut self.verified,
            (Some(_), Outcome::Success) => &mut self.verified,
            (Some(_), _) => &mut self.named,
            (None, _) => &mut self.anonymous,
        };
        let key = Key {
            event: record.event,
            outcome: record.outcome,
            reason: record.reason,
            // A client with one address of an IPv6 network has 2^64 of them.
            source: record.ip.map(|ip| usher_auth::client_address::ClientAddress(ip).source()),
            subject,
        };
        let joins = record.event == AuditEvent::RoomJoined;
        budget.admit(key, record, if joins { SINGLE_JOINS_PER_KEY } else { SINGLE_PER_KEY }, now.unix)
    }

    /// What was counted, once the window is over; the next one begins.
    pub(super) fn due(&mut self, now: Now) -> Vec<Record> {
        if now.monotonic.saturating_sub(self.began) < WINDOW {
            return Vec::new();
        }
        self.began = now.monotonic;
        self.take()
    }

    /// What was counted so far.
    pub(super) fn take(&mut self) -> Vec<Record> {
        [&mut self.verified, &mut self.named, &mut self.anonymous].into_iter().flat_map(Budget::take).collect()
    }
}

#[cfg(test)]
mod tests;
