//! What is revoked, as a process that admits credentials needs it: loaded from the store before anything else.

use std::collections::BTreeSet;
use std::sync::Arc;

use usher_auth::UnixTime;
use usher_auth::ids::UserId;
use usher_auth::permit::CredentialFacts;
use usher_auth::revocation::{BlockedUser, Revocation, RevocationCause, RevocationIndex};
use usher_store::{Store, StoreError};

use crate::sync::RwLock;

/// How often a list is read again because a user was blocked meanwhile.
const MOST_READS: usize = 3;

/// The revocations that matter. A cheap handle.
///
/// There is no empty one: whoever has a list has loaded it, so that no revoked credential comes back with a restart. It changes by
/// [`crate::SessionState::apply`] alone.
///
/// ```compile_fail
/// let nothing_is_revoked = usher_axum::RevocationList::default();
/// ```
#[derive(Clone, Debug)]
pub struct RevocationList {
    shared: Arc<RwLock<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    index: RevocationIndex,
    /// How many times a user was blocked.
    blockings: u64,
}

impl RevocationList {
    /// What the store remembers.
    pub async fn load(store: &dyn Store) -> Result<Self, StoreError> {
        let list = Self::of(RevocationIndex::default());
        let (revocations, blocked) = (store.revocations().await?, store.blocked_users().await?);
        list.insert(&revocations);
        for user in &blocked {
            list.block(user);
        }
        Ok(list)
    }

    /// What is in the index, for who has it from the store.
    pub(crate) fn of(index: RevocationIndex) -> Self {
        Self { shared: Arc::new(RwLock::new(Shared { index, blockings: 0 })) }
    }

    /// Takes in all that the store remembers, after events were missed. Nothing that is known is dropped, but for users who are blocked no more.
    pub(crate) async fn read_again(&self, store: &dyn Store) -> Result<(), StoreError> {
        self.insert(&store.revocations().await?);
        for _ in 0..MOST_READS {
            let (before, blockings) = {
                let shared = self.shared.read();
                (shared.index.blocked().cloned().collect::<Vec<_>>(), shared.blockings)
            };
            let blocked = store.blocked_users().await?;
            let still: BTreeSet<&UserId> = blocked.iter().map(|user| &user.user).collect();
            let mut shared = self.shared.write();
            // One who was blocked while the store was read may not have been found.
            let unchanged = shared.blockings == blockings;
            for user in before.iter().filter(|user| unchanged && !still.contains(user)) {
                shared.index.unblock(user);
            }
            for user in &blocked {
                shared.index.block(user);
            }
            if unchanged {
                break;
            }
        }
        Ok(())
    }

    /// Refuse from now on what these end.
    pub(crate) fn insert<'a>(&self, revocations: impl IntoIterator<Item = &'a Revocation>) {
        let mut shared = self.shared.write();
        for revocation in revocations {
            shared.index.insert(revocation);
        }
    }

    /// Readings of the user before this moment have roles that they have no more.
    pub(crate) fn roles_read_before(&self, user: &UserId, moment: UnixTime) {
        self.shared.write().index.roles_read_before(user, moment);
    }

    /// Refuse every credential of a user from now on.
    pub(crate) fn block(&self, user: &BlockedUser) {
        let mut shared = self.shared.write();
        shared.index.block(user);
        shared.blockings += 1;
    }

    /// Refuse a user no longer. What was revoked besides stays so.
    pub(crate) fn unblock(&self, user: &UserId) {
        self.shared.write().index.unblock(user);
    }

    /// Drop what no longer matters.
    pub fn forget(&self, now: UnixTime) {
        self.shared.write().index.forget(now);
    }

    /// Decide with the list held still. Nothing may be awaited in `decide`.
    pub fn with_index<T>(&self, decide: impl FnOnce(&RevocationIndex) -> T) -> T {
        decide(&self.shared.read().index)
    }

    /// Why this credential is revoked, if it is.
    pub fn check(&self, facts: &CredentialFacts) -> Option<RevocationCause> {
        self.with_index(|index| index.check(facts))
    }

    /// How many entries it has.
    pub fn len(&self) -> usize {
        self.with_index(RevocationIndex::len)
    }

    /// Whether nothing is revoked.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
