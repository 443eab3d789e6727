//! The users of one room: on how many connections here, and on which other nodes.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use indexmap::IndexMap;
use usher_auth::ids::UserId;
use usher_auth::wire::UserRef;

use crate::{LocalMember, Member, NodeId};

/// Below this many entries a map's memory is not worth giving back.
const SHRINK_ABOVE: usize = 64;

/// Who is in a room. A user is in it while they have a connection here or a node says that they are there.
#[derive(Default)]
pub(crate) struct Members {
    present: IndexMap<UserId, Entry>,
    elsewhere: BTreeMap<NodeId, HashSet<UserId>>,
    next_number: MemberNumber,
}

/// Stands for a user within a room, so that fan-out compares integers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MemberNumber(u64);

struct Entry {
    number: MemberNumber,
    name: Arc<str>,
    /// On this node.
    connections: usize,
    /// Other nodes they are on.
    nodes: usize,
}

/// What one more connection changed.
pub(crate) struct Arrival {
    pub(crate) number: MemberNumber,
    pub(crate) first_here: bool,
    pub(crate) first_anywhere: bool,
}

/// What one connection less changed.
pub(crate) struct Departure {
    pub(crate) last_here: bool,
    /// The user, if they are in the room no more.
    pub(crate) gone: Option<Member>,
}

impl Members {
    /// How many users.
    pub(crate) fn len(&self) -> usize {
        self.present.len()
    }

    /// At most `limit` of them.
    pub(crate) fn list(&self, limit: usize) -> Vec<UserRef<'_>> {
        self.present.iter().take(limit).map(|(id, entry)| UserRef { id: id.as_str(), name: &entry.name }).collect()
    }

    /// Those with a connection on this node.
    pub(crate) fn local(&self) -> Vec<LocalMember> {
        let here = self.present.iter().filter(|(_, entry)| entry.connections > 0);
        let local = here.map(|(id, entry)| LocalMember {
            member: Member { id: id.clone(), name: entry.name.clone() },
            connections: entry.connections,
        });
        local.collect()
    }

    pub(crate) fn number(&self, id: &UserId) -> Option<MemberNumber> {
        self.present.get(id).map(|entry| entry.number)
    }

    /// A connection of `member` came.
    pub(crate) fn arrive(&mut self, member: &Member) -> Arrival {
        let (entry, first_anywhere) = self.entry(member);
        entry.connections += 1;
        Arrival { number: entry.number, first_here: entry.connections == 1, first_anywhere }
    }

    /// A connection of the user `id` went.
    pub(crate) fn depart(&mut self, id: &UserId) -> Departure {
        let Some(entry) = self.present.get_mut(id) else { return Departure { last_here: false, gone: None } };
        let last_here = entry.connections == 1;
        entry.connections = entry.connections.saturating_sub(1);
        Departure { last_here, gone: self.remove_if_gone(id) }
    }

    /// Node `node` says that `member` is there. True if they were not in the room before.
    pub(crate) fn arrive_on(&mut self, node: NodeId, member: &Member) -> bool {
        if !self.elsewhere.entry(node).or_default().insert(member.id.clone()) {
            return false;
        }
        let (entry, first_anywhere) = self.entry(member);
        entry.nodes += 1;
        first_anywhere
    }

    /// Node `node` says that the user `id` is not there. The user, if they are in the room no more.
    pub(crate) fn depart_from(&mut self, node: NodeId, id: &UserId) -> Option<Member> {
        let there = self.elsewhere.get_mut(&node)?;
        if !there.remove(id) {
            return None;
        }
        if there.is_empty() {
            self.elsewhere.remove(&node);
        }
        let entry = self.present.get_mut(id)?;
        entry.nodes = entry.nodes.saturating_sub(1);
        self.remove_if_gone(id)
    }

    /// Exactly `members` are on `node`. True if that changed who is in the room.
    pub(crate) fn set_present_on(&mut self, node: NodeId, members: &[Member]) -> bool {
        let now: HashSet<&UserId> = members.iter().map(|member| &member.id).collect();
        let before = self.elsewhere.get(&node).cloned().unwrap_or_default();
        let mut changed = false;
        for id in before.iter().filter(|id| !now.contains(id)) {
            changed |= self.depart_from(node, id).is_some();
        }
        for member in members {
            changed |= self.arrive_on(node, member);
        }
        changed
    }

    /// The user goes by another name.
    pub(crate) fn rename(&mut self, member: &Member) {
        if let Some(entry) = self.present.get_mut(&member.id) {
            entry.name = member.name.clone();
        }
    }

    /// The entry of `member`, and whether it is new.
    fn entry(&mut self, member: &Member) -> (&mut Entry, bool) {
        let (index, new) = if let Some(index) = self.present.get_index_of(&member.id) {
            (index, false)
        } else {
            let number = self.next_number;
            self.next_number = MemberNumber(number.0 + 1);
            let entry = Entry { number, name: member.name.clone(), connections: 0, nodes: 0 };
            (self.present.insert_full(member.id.clone(), entry).0, true)
        };
        (&mut self.present[index], new)
    }

    fn remove_if_gone(&mut self, id: &UserId) -> Option<Member> {
        let entry = self.present.get(id)?;
        if entry.connections > 0 || entry.nodes > 0 {
            return None;
        }
        let (id, entry) = self.present.swap_remove_entry(id)?;
        shrink(&mut self.present);
        Some(Member { id, name: entry.name })
    }
}

/// Gives back the memory of a map that was much larger once. Its cost is spread over the removals that made it small.
pub(crate) fn shrink<K, V>(map: &mut IndexMap<K, V>) {
    let (length, capacity) = (map.len(), map.capacity());
    if capacity > SHRINK_ABOVE && length < capacity / 8 {
        map.shrink_to(2 * length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(number: usize) -> Member {
        Member { id: UserId::new(format!("user-{number}")).unwrap(), name: Arc::from("somebody") }
    }

    #[test]
    fn a_crowd_that_left_takes_no_memory() {
        let mut members = Members::default();
        for number in 0..10_000 {
            members.arrive(&member(number));
        }
        let numbers: Vec<_> = (0..5).map(|number| members.number(&member(number).id).unwrap()).collect();
        for number in 5..10_000 {
            members.depart(&member(number).id);
        }
        assert!(members.present.capacity() < 2 * SHRINK_ABOVE, "{}", members.present.capacity());
        let still: Vec<_> = (0..5).map(|number| members.number(&member(number).id).unwrap()).collect();
        assert_eq!(still, numbers);
    }

    #[test]
    fn a_node_that_nobody_is_on_takes_no_memory() {
        let (mut members, node) = (Members::default(), NodeId::from_random([1; 16]));
        assert!(members.set_present_on(node, &[member(1), member(2)]));
        assert!(!members.arrive_on(node, &member(2)));
        assert_eq!(members.depart_from(node, &member(1).id), Some(member(1)));
        assert_eq!(members.depart_from(node, &member(1).id), None);
        assert!(members.set_present_on(node, &[]));
        assert!(!members.set_present_on(node, &[]));
        assert_eq!((members.len(), members.elsewhere.len()), (0, 0));
    }
}
