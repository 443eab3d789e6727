//! Several records that are alike as one, in bounded memory.

use std::net::IpAddr;

use usher_auth::UnixTime;
use usher_auth::client_address::ClientAddress;
use usher_auth::ids::UserId;

use super::super::tally::Tally;
use super::{AuditKeys, Record};

/// A name that a client typed at a log-in: perhaps a password in the wrong field. Written as a keyed hash alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in super::super) enum Claimed {
    /// As it was typed, as long as a request may be.
    Name(String),
    /// Its hash: what is kept of it for longer than a call.
    Reference(String),
}

impl Claimed {
    pub(super) fn reference(&self, keys: &AuditKeys) -> String {
        match self {
            Self::Name(name) => keys.reference("name", name),
            Self::Reference(reference) => reference.clone(),
        }
    }
}

/// Several that are alike, as one.
#[derive(Clone, Debug)]
pub(in super::super) struct Folded {
    pub(in super::super) count: u64,
    pub(in super::super) first: UnixTime,
    pub(in super::super) last: UnixTime,
    /// Where they are of several sources, or about several users.
    pub(in super::super) groups: Option<Box<Groups>>,
}

/// Whom several records are about, and where they come from.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Groups {
    pub(super) subjects: Tally<UserId>,
    pub(super) sources: Tally<IpAddr>,
    pub(super) claimed: Tally<Claimed>,
}

impl Groups {
    /// Takes in one more; its subject, too, if they may differ.
    pub(in super::super) fn add(&mut self, record: Record, subjects_differ: bool) {
        if let Some(ip) = record.ip {
            self.sources.add(ClientAddress(ip).source());
        }
        if let Some(claimed) = record.claimed {
            self.claimed.add(claimed);
        }
        if let Some(subject) = record.subject.filter(|_| subjects_differ) {
            self.subjects.add(subject);
        }
    }
}

impl Record {
    /// It stands for `count`.
    #[must_use]
    pub(in super::super) fn counting(mut self, count: u64, first: UnixTime, last: UnixTime) -> Self {
        self.folded = Some(Folded { count, first, last, groups: None });
        self
    }

    /// With the name that was claimed as a hash alone.
    #[must_use]
    pub(in super::super) fn sealed(mut self, keys: &AuditKeys) -> Self {
        self.claimed = self.claimed.map(|claimed| Claimed::Reference(claimed.reference(keys)));
        self
    }

    /// The first of several, less what is its own.
    #[must_use]
    pub(in super::super) fn folded(self, at: UnixTime) -> Self {
        Self { connection: None, session: None, claimed: None, ..self }.counting(1, at, at)
    }

    /// Stands for `other`, too, which is alike and comes from `source`. What differs between them is no longer said.
    pub(in super::super) fn absorb(&mut self, other: &Self, source: Option<IpAddr>, at: UnixTime) {
        if self.ip != other.ip {
            self.ip = source;
        }
        if self.subject != other.subject {
            self.subject = None;
        }
        self.absorb_rest(other, at);
    }

    /// Stands for `other`, too, which may come from elsewhere, and be about another user where `subjects_differ`.
    pub(in super::super) fn absorb_into_group(&mut self, other: Self, subjects_differ: bool, at: UnixTime) {
        self.absorb_rest(&other, at);
        if let Some(groups) = self.folded.as_mut().and_then(|folded| folded.groups.as_mut()) {
            groups.add(other, subjects_differ);
        }
    }

    fn absorb_rest(&mut self, other: &Self, at: UnixTime) {
        fn common<T: PartialEq>(one: &mut Option<T>, other: Option<&T>) {
            if one.as_ref() != other {
                *one = None;
            }
        }
        common(&mut self.detail, other.detail.as_ref());
        common(&mut self.carrier, other.carrier.as_ref());
        common(&mut self.origin, other.origin.as_ref());
        common(&mut self.route, other.route.as_ref());
        common(&mut self.extra.room, other.extra.room.as_ref());
        common(&mut self.extra.code, other.extra.code.as_ref());
        common(&mut self.extra.lasted_ms, other.extra.lasted_ms.as_ref());
        common(&mut self.extra.rooms_lost, other.extra.rooms_lost.as_ref());
        common(&mut self.extra.connections_ended, other.extra.connections_ended.as_ref());
        if let Some(folded) = &mut self.folded {
            folded.count += 1;
            folded.last = at;
        }
    }
}
