//! The sessions of a service: how many there are, and which one a request means.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::path::SessionId;
use crate::session::Live;

/// All sessions, and those that later requests can name. A WebSocket's session has no name: ids of WebSockets may repeat.
#[derive(Debug)]
pub(crate) struct Registry<T> {
    places: Arc<Semaphore>,
    capacity: u32,
    tables: Mutex<Tables<T>>,
}

#[derive(Debug)]
struct Tables<T> {
    named: HashMap<SessionId, Entry<T>>,
    all: HashMap<u64, Arc<Live>>,
    so_far: u64,
    draining: bool,
}

/// A session that later requests can name.
#[derive(Debug)]
pub(crate) struct Entry<T> {
    pub(crate) live: Arc<Live>,
    pub(crate) opener: Arc<T>,
}

/// A session may be opened.
#[derive(Debug)]
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
}

/// A session's place in the tables. Dropping it takes the session out.
pub(crate) struct Registration<T> {
    registry: Arc<Registry<T>>,
    number: u64,
    name: Option<SessionId>,
    _place: Place,
}

/// What became of an attempt to register.
pub(crate) enum Registered<T> {
    New(Entry<T>, Registration<T>),
    /// Somebody else was faster.
    Taken(Entry<T>),
    /// All sessions are being closed.
    Draining,
}

impl<T> Clone for Entry<T> {
    fn clone(&self) -> Self {
        Self { live: self.live.clone(), opener: self.opener.clone() }
    }
}

impl<T> Registry<T> {
    pub(crate) fn new(capacity: u32) -> Arc<Self> {
        // A semaphore counts no further than this on machines with small pointers.
        let capacity = capacity.min(u32::MAX >> 3);
        let tables = Tables { named: HashMap::new(), all: HashMap::new(), so_far: 0, draining: false };
        Arc::new(Self {
            places: Arc::new(Semaphore::new(usize::try_from(capacity).unwrap_or(Semaphore::MAX_PERMITS))),
            capacity,
            tables: Mutex::new(tables),
        })
    }

    /// A place for a session that is about to be opened, if there is one left.
    pub(crate) fn reserve(&self) -> Option<Place> {
        self.places.clone().try_acquire_owned().ok().map(|permit| Place { _permit: permit })
    }

    pub(crate) fn find(&self, name: &SessionId) -> Option<Entry<T>> {
        self.tables.lock().named.get(name).cloned()
    }

    pub(crate) fn register(
        self: &Arc<Self>,
        place: Place,
        name: Option<SessionId>,
        opener: T,
        make: impl FnOnce(u64) -> Arc<Live>,
    ) -> Registered<T> {
        let mut tables = self.tables.lock();
        if tables.draining {
            return Registered::Draining;
        }
        if let Some(entry) = name.as_ref().and_then(|name| tables.named.get(name)) {
            return Registered::Taken(entry.clone());
        }
        tables.so_far += 1;
        let number = tables.so_far;
        let entry = Entry { live: make(number), opener: Arc::new(opener) };
        tables.all.insert(number, entry.live.clone());
        if let Some(name) = &name {
            tables.named.insert(name.clone(), entry.clone());
        }
        Registered::New(entry, Registration { registry: self.clone(), number, name, _place: place })
    }

    pub(crate) fn count(&self) -> usize {
        self.tables.lock().all.len()
    }

    /// How many sessions later requests can name.
    pub(crate) fn named(&self) -> usize {
        self.tables.lock().named.len()
    }

    /// Each session, to be looked at.
    pub(crate) fn all(&self) -> Vec<Arc<Live>> {
        self.tables.lock().all.values().cloned().collect()
    }

    /// From now on nothing registers any more. Returns those that are there.
    pub(crate) fn begin_drain(&self) -> Vec<Arc<Live>> {
        let mut tables = self.tables.lock();
        tables.draining = true;
        tables.all.values().cloned().collect()
    }

    /// Waits until the last session has gone. For after [`Self::begin_drain`]: it takes all places, so that none is left for others.
    pub(crate) async fn emptied(&self) {
        let _all = self.places.acquire_many(self.capacity).await;
    }
}

impl<T> Drop for Registration<T> {
    fn drop(&mut self) {
        let mut tables = self.registry.tables.lock();
        tables.all.remove(&self.number);
        if let Some(name) = &self.name {
            tables.named.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::close::Close;
    use crate::session::machine::Rules;
    use crate::{Transport, ambient};

    fn live(number: u64) -> Arc<Live> {
        let rules = Rules {
            heartbeat: Duration::from_secs(25),
            disconnect_delay: Duration::from_secs(5),
            outbound_bytes: 1,
            inbound_bytes: 1,
            overflow: Close::SLOW_CONSUMER,
            framed: true,
            read_again_below: 0,
        };
        Live::new(number, Transport::Xhr, rules, ambient::Clock::new())
    }

    fn name() -> Option<SessionId> {
        match crate::path::place("/0/a/xhr") {
            Some(crate::path::Place::Session(id, _)) => Some(id),
            _ => None,
        }
    }

    #[test]
    fn of_two_that_open_one_session_one_wins() {
        let registry = Registry::new(2);
        let (one, two) = (registry.reserve().unwrap(), registry.reserve().unwrap());
        let Registered::New(first, registration) = registry.register(one, name(), 1, live) else { panic!() };
        let Registered::Taken(second) = registry.register(two, name(), 2, live) else { panic!() };
        assert_eq!((second.live.number, *second.opener), (first.live.number, 1));
        assert!(registry.reserve().is_some(), "the loser's place is free again");
        drop(registration);
        assert!(registry.find(&name().unwrap()).is_none());
        assert_eq!(registry.count(), 0);
    }

    #[test]
    fn who_was_on_the_way_in_when_a_drain_began_is_not_let_in() {
        let registry = Registry::new(1);
        let place = registry.reserve().unwrap();
        assert!(registry.begin_drain().is_empty());
        assert!(matches!(registry.register(place, None, (), live), Registered::Draining));
    }
}
