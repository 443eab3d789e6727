//! One budget: so many records one by one, and the others counted together.

use std::collections::HashMap;
use std::net::IpAddr;

use usher_auth::UnixTime;
use usher_auth::ids::UserId;

use super::super::record::Groups;
use super::super::{AuditEvent, Outcome, Record};

/// How much a budget allows within a window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Records that are written one by one.
    pub(super) singles: u32,
    /// Of these, records about one user.
    pub(super) singles_per_subject: u32,
    /// Keys that are counted apart.
    pub(super) keys: usize,
    /// Users whose records are counted apart once they cannot be counted by their keys.
    pub(super) subject_groups: usize,
}

/// What makes two records alike.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) event: AuditEvent,
    pub(super) outcome: Outcome,
    pub(super) reason: Option<&'static str>,
    pub(super) source: Option<IpAddr>,
    pub(super) subject: Option<UserId>,
}

#[derive(Debug, Default)]
struct Count {
    single: u32,
    /// Stands for those that were not written.
    folded: Option<Box<Record>>,
}

/// What was recorded within a window.
#[derive(Debug)]
pub(super) struct Budget {
    bounds: Bounds,
    singles: u32,
    /// A key is here once a record of it was written, so there are no more of these than records.
    by_key: HashMap<Key, Count>,
    /// Likewise.
    by_subject: HashMap<UserId, u32>,
    /// Counted by kind, and by user where there is room. There are only so many kinds.
    groups: HashMap<Key, Box<Record>>,
    subject_groups: usize,
}

impl Budget {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            singles: 0,
            by_key: HashMap::new(),
            by_subject: HashMap::new(),
            groups: HashMap::new(),
            subject_groups: 0,
        }
    }

    /// The record, if it is to be written by itself; `most` are of one key.
    pub(super) fn admit(&mut self, key: Key, record: Record, most: u32, at: UnixTime) -> Option<Record> {
        if let Some(count) = self.by_key.get_mut(&key).filter(|count| count.single >= most) {
            let source = key.source;
            match &mut count.folded {
                Some(folded) => folded.absorb(&record, source, at),
                None => count.folded = Some(Box::new(record.folded(at))),
            }
            return None;
        }
        let of_subject = key.subject.as_ref().and_then(|subject| self.by_subject.get(subject)).copied().unwrap_or(0);
        let has_room = self.singles < self.bounds.singles
            && of_subject < self.bounds.singles_per_subject
            && (self.by_key.len() < self.bounds.keys || self.by_key.contains_key(&key));
        if !has_room {
            self.group(key, record, at);
            return None;
        }
        self.singles = self.singles.saturating_add(1);
        if let Some(subject) = key.subject.as_ref().filter(|_| self.bounds.singles_per_subject < u32::MAX) {
            *self.by_subject.entry(subject.clone()).or_default() += 1;
        }
        self.by_key.entry(key).or_default().single += 1;
        Some(record)
    }

    /// Counts the record with all of its kind, or of its kind and user.
    fn group(&mut self, key: Key, record: Record, at: UnixTime) {
        let of_user = Key { source: None, ..key };
        let apart = of_user.subject.is_some()
            && (self.subject_groups < self.bounds.subject_groups || self.groups.contains_key(&of_user));
        let group = if apart { of_user } else { Key { subject: None, ..of_user } };
        let kept = group.subject.is_none();
        match self.groups.get_mut(&group) {
            Some(folded) => folded.absorb_into_group(record, kept, at),
            None => {
                self.subject_groups += usize::from(apart);
                let mut folded = record.clone().folded(at);
                folded.ip = None;
                if kept {
                    folded.subject = None;
                }
                let mut groups = Groups::default();
                groups.add(record, kept);
                if let Some(folded) = &mut folded.folded {
                    folded.groups = Some(Box::new(groups));
                }
                self.groups.insert(group, Box::new(folded));
            }
        }
    }

    /// The records that stand for those that were not written; the budget is whole again.
    pub(super) fn take(&mut self) -> Vec<Record> {
        let Self { by_key, groups, .. } = std::mem::replace(self, Self::new(self.bounds));
        let by_key = by_key.into_values().filter_map(|count| count.folded);
        by_key.chain(groups.into_values()).map(|folded| *folded).collect()
    }

    #[cfg(test)]
    pub(super) fn keys(&self) -> usize {
        self.by_key.len() + self.by_subject.len() + self.groups.len()
    }
}
