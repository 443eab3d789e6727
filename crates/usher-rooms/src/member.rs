//! A user as the members of a room see them.

use std::sync::Arc;

use usher_auth::Principal;
use usher_auth::ids::UserId;
use usher_auth::wire::UserRef;

/// A user in a room, however many connections they have there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Unique.
    pub id: UserId,
    /// For people to read.
    pub name: Arc<str>,
}

/// A user in a room, as far as this node is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalMember {
    /// The user.
    pub member: Member,
    /// How many connections of this node they have in the room; at least one.
    pub connections: usize,
}

impl From<&Principal> for Member {
    fn from(principal: &Principal) -> Self {
        Self { id: principal.id.clone(), name: principal.name.as_str().into() }
    }
}

impl<'a> From<&'a Member> for UserRef<'a> {
    fn from(member: &'a Member) -> Self {
        Self { id: member.id.as_str(), name: &member.name }
    }
}
