//! The maps behind a memory of look-ups.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use usher_auth::ids::UserId;
use usher_auth::secret::HashedToken;

use super::{Known, Remembered};

/// How many events are known one by one. A look-up during which there were more is not remembered.
const RECENT_EVENTS: usize = 256;

pub(super) struct Held<C: Remembered> {
    by_secret: HashMap<HashedToken, Slot<C>>,
    by_id: HashMap<C::Id, HashedToken>,
    by_user: BTreeMap<UserId, BTreeSet<C::Id>>,
    /// Which goes first.
    order: BTreeMap<u64, HashedToken>,
    next_place: u64,
    /// The last events, and how many there were before them.
    recent: VecDeque<Forgotten<C::Id>>,
    earlier: u64,
}

struct Slot<C> {
    known: Arc<Known<C>>,
    /// On the monotonic clock.
    looked_up_at: Duration,
    place: u64,
    /// Whether it was used since it was put in its place.
    used: bool,
}

/// What an event was about.
enum Forgotten<I> {
    One(I),
    User(UserId),
    All,
}

impl<C: Remembered> Default for Held<C> {
    fn default() -> Self {
        Self {
            by_secret: HashMap::new(),
            by_id: HashMap::new(),
            by_user: BTreeMap::new(),
            order: BTreeMap::new(),
            next_place: 0,
            recent: VecDeque::new(),
            earlier: 0,
        }
    }
}

impl<C: Remembered> Held<C> {
    pub(super) fn by_secret(&mut self, secret: &HashedToken, oldest: Duration) -> Option<Arc<Known<C>>> {
        let slot = self.by_secret.get_mut(secret)?;
        if slot.looked_up_at < oldest {
            self.remove(&secret.clone());
            return None;
        }
        slot.used = true;
        Some(slot.known.clone())
    }

    pub(super) fn by_id(&mut self, id: &C::Id, oldest: Duration) -> Option<Arc<Known<C>>> {
        let secret = *self.by_id.get(id)?;
        self.by_secret(&secret, oldest)
    }

    /// How many events there were.
    pub(super) fn events(&self) -> u64 {
        self.earlier + self.recent.len() as u64
    }

    /// Whether one of the events after the first `events` may have been about this credential.
    pub(super) fn has_changed_since(&self, events: u64, id: &C::Id, user: &UserId) -> bool {
        let Some(known) = events.checked_sub(self.earlier) else { return true };
        let known = usize::try_from(known).unwrap_or(usize::MAX);
        self.recent.iter().skip(known).any(|event| match event {
            Forgotten::One(one) => one == id,
            Forgotten::User(of) => of == user,
            Forgotten::All => true,
        })
    }

    pub(super) fn insert(&mut self, mut known: Known<C>, now: Duration, most: usize) -> Arc<Known<C>> {
        let secret = known.credential.secret();
        if let Some(earlier) = self.by_id.get(known.credential.id()).and_then(|secret| self.by_secret.get(secret)) {
            known.credential.join(&earlier.known.credential);
        }
        self.remove_id(&known.credential.id().clone());
        while !self.by_secret.is_empty() && self.by_secret.len() >= most {
            self.make_room();
        }
        let known = Arc::new(known);
        let (id, user) = (known.credential.id().clone(), known.credential.user().clone());
        self.by_user.entry(user).or_default().insert(id.clone());
        self.by_id.insert(id, secret);
        let place = self.take_place(secret);
        self.by_secret.insert(secret, Slot { known: known.clone(), looked_up_at: now, place, used: false });
        known
    }

    pub(super) fn update(&mut self, id: &C::Id, change: impl FnOnce(&mut C)) {
        let slot = self.by_id.get(id).and_then(|secret| self.by_secret.get_mut(secret));
        if let Some(slot) = slot {
            change(&mut Arc::make_mut(&mut slot.known).credential);
        }
    }

    pub(super) fn forget(&mut self, id: &C::Id) {
        self.note(Forgotten::One(id.clone()));
        self.remove_id(id);
    }

    pub(super) fn forget_user(&mut self, user: &UserId) {
        self.note(Forgotten::User(user.clone()));
        for id in self.by_user.remove(user).unwrap_or_default() {
            self.remove_id(&id);
        }
    }

    pub(super) fn forget_all(&mut self) {
        self.note(Forgotten::All);
        self.by_secret.clear();
        self.by_id.clear();
        self.by_user.clear();
        self.order.clear();
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let sizes = [self.by_secret.len(), self.by_id.len(), self.by_user.values().map(BTreeSet::len).sum()];
        assert_eq!(sizes, [self.order.len(); 3], "each is in all maps or in none");
        self.order.len()
    }

    fn note(&mut self, event: Forgotten<C::Id>) {
        if self.recent.len() == RECENT_EVENTS {
            self.recent.pop_front();
            self.earlier += 1;
        }
        self.recent.push_back(event);
    }

    fn take_place(&mut self, secret: HashedToken) -> u64 {
        self.next_place += 1;
        self.order.insert(self.next_place, secret);
        self.next_place
    }

    /// Takes out the first that was not used since it was put in its place; each that was is put at the end on the way.
    fn make_room(&mut self) {
        while let Some((_, secret)) = self.order.pop_first() {
            let place = self.next_place + 1;
            match self.by_secret.get_mut(&secret) {
                Some(slot) if slot.used => {
                    (slot.used, slot.place) = (false, place);
                    self.take_place(secret);
                }
                _ => {
                    self.remove(&secret);
                    return;
                }
            }
        }
    }

    fn remove_id(&mut self, id: &C::Id) {
        if let Some(secret) = self.by_id.get(id).copied() {
            self.remove(&secret);
        }
    }

    fn remove(&mut self, secret: &HashedToken) {
        let Some(slot) = self.by_secret.remove(secret) else { return };
        self.order.remove(&slot.place);
        let credential = &slot.known.credential;
        self.by_id.remove(credential.id());
        if let Some(ids) = self.by_user.get_mut(credential.user()) {
            ids.remove(credential.id());
            if ids.is_empty() {
                self.by_user.remove(credential.user());
            }
        }
    }
}
