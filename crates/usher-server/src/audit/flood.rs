//! A flood of records that are alike becomes one record with a count: nothing is lost, and nobody can fill the disk with failures.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use usher_auth::ids::UserId;
use usher_auth::{Now, UnixTime};

use super::{AuditEvent, Outcome, Record};

/// How long alike records are counted together.
const WINDOW: Duration = Duration::from_mins(1);
/// Records of one kind, from one source and about one subject, that are written one by one within a window; the next ones are counted.
const SINGLE_PER_KEY: u32 = 20;
/// Records in all of what anybody can cause without a credential that are written one by one within a window; the next ones are counted
/// by kind alone, so that many sources together write no more than that.
const SINGLE_BY_ANYBODY: u32 = 2_000;
/// Most keys that are counted apart within a window; beyond, records are counted by kind alone.
const MAX_KEYS: usize = 10_000;

/// What makes two records alike. Without source and subject it is a kind alone, of which there are only so many.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    event: AuditEvent,
    outcome: Outcome,
    reason: Option<&'static str>,
    source: Option<IpAddr>,
    subject: Option<UserId>,
}

/// What a visitor's id begins with, who has a new one each time.
const ANONYMOUS: &str = "anonymous:";

#[derive(Debug, Default)]
struct Count {
    single: u32,
    /// The first that was not written, less what was its own.
    folded: Option<Box<Record>>,
}

/// The records of the running window.
#[derive(Debug, Default)]
pub(super) struct Flood {
    began: Duration,
    single_by_anybody: u32,
    counts: HashMap<Key, Count>,
}

impl Flood {
    /// The record, if it is to be written by itself.
    pub(super) fn admit(&mut self, record: Record, now: Now) -> Option<Record> {
        if matches!(record.event, AuditEvent::Startup | AuditEvent::Shutdown | AuditEvent::AuditReaped) {
            return Some(record);
        }
        // What somebody verified does is counted for them, what anybody can do for their address.
        let verified = |user: &&UserId| !user.as_str().starts_with(ANONYMOUS);
        let subject = record.subject.as_ref().filter(verified).filter(|_| record.outcome == Outcome::Success).cloned();
        let anybody = subject.is_none();
        let key = Key {
            event: record.event,
            outcome: record.outcome,
            reason: record.reason,
            source: record.ip.map(|ip| ClientSource(ip).of()),
            subject,
        };
        let full = self.counts.len() >= MAX_KEYS && !self.counts.contains_key(&key);
        if full || (anybody && self.single_by_anybody >= SINGLE_BY_ANYBODY) {
            let kind = Key { source: None, subject: None, ..key };
            let count = self.counts.entry(kind).or_default();
            count.fold(Record { ip: None, subject: None, origin: None, ..record }, now.unix);
            return None;
        }
        let count = self.counts.entry(key).or_default();
        if count.single >= SINGLE_PER_KEY {
            count.fold(record, now.unix);
            return None;
        }
        count.single += 1;
        self.single_by_anybody += u32::from(anybody);
        Some(record)
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
        self.single_by_anybody = 0;
        self.counts.drain().filter_map(|(_, count)| count.folded).map(|folded| *folded).collect()
    }
}

impl Count {
    fn fold(&mut self, record: Record, at: UnixTime) {
        match self.folded.as_deref_mut() {
            Some(Record { folded: Some(folded), .. }) => {
                folded.count += 1;
                folded.last = at;
            }
            _ => {
                let alike = Record { connection: None, session: None, claimed: None, ..record };
                self.folded = Some(Box::new(alike.counting(1, at, at)));
            }
        }
    }
}

/// Whoever has one address of an IPv6 network has 2^64 of them.
struct ClientSource(IpAddr);

impl ClientSource {
    fn of(&self) -> IpAddr {
        usher_axum::ClientAddress(self.0).source()
    }
}

#[cfg(test)]
mod tests {
    use usher_axum::ClientAddress;

    use super::*;

    const START: Now = Now { monotonic: Duration::from_secs(100), unix: UnixTime::from_seconds(1_760_000_000) };

    fn failure(source: u32) -> Record {
        let client = ClientAddress(IpAddr::from(source.to_be_bytes()));
        Record::new(AuditEvent::LoginFail, Outcome::Failure).reason("invalid_token").from(client, None, "/ws")
    }

    #[test]
    fn what_is_alike_is_counted_and_nothing_is_lost() {
        // req N5
        let mut flood = Flood::default();
        assert!(flood.due(START).is_empty());
        let written = (0..1000).filter(|_| flood.admit(failure(1), START).is_some()).count();
        assert_eq!(written, 20);
        assert!(flood.admit(failure(2), START).is_some(), "another source");
        assert!(flood.due(START.after(Duration::from_secs(59))).is_empty());
        let over = flood.due(START.after(Duration::from_mins(1)));
        assert_eq!(over.len(), 1);
        assert_eq!(over[0].folded.map(|folded| folded.count), Some(980));
        assert_eq!(over[0].ip, Some(IpAddr::from([0, 0, 0, 1])));
        assert!(flood.admit(failure(1), START).is_some(), "a new window");
    }

    #[test]
    fn many_sources_together_do_not_fill_the_disk_or_the_memory() {
        // req N5
        let mut flood = Flood::default();
        let total = 200_000;
        let written = (0..total).filter(|n| flood.admit(failure(*n), START).is_some()).count();
        assert_eq!(written, 2_000);
        assert!(flood.counts.len() <= MAX_KEYS + 1);
        let over = flood.take();
        let counted: u64 = over.iter().filter_map(|record| record.folded).map(|folded| folded.count).sum();
        assert_eq!(counted + 2_000, u64::from(total));
    }

    #[test]
    fn users_behind_one_address_are_told_apart() {
        let mut flood = Flood::default();
        for n in 0..5_000 {
            let user = UserId::new(format!("user-{n}")).expect("an id");
            let login = Record::new(AuditEvent::LoginSuccess, Outcome::Success).subject(&user);
            assert!(flood.admit(login, START).is_some(), "{n}");
        }
    }
}
