//! What is written behind is seen as if it had been written.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use proptest::prelude::*;
use usher_auth::UnixTime;
use usher_auth::revocation::RevocationCause;

use super::*;
use crate::conformance::fixtures::{at, revocation, secret, session, session_id, session_target, user_id};
use crate::memory::MemoryStore;
use crate::{RevocationStore as _, SessionStore as _};

#[expect(clippy::unused_async, reason = "the suite awaits the making of a store")]
async fn empty() -> (Arc<dyn Store>, ()) {
    (Arc::new(WriteBehindStore::new(Arc::new(MemoryStore::new()))), ())
}

crate::store_conformance!(empty);

/// The answer of a future that never waits.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("nothing here waits"),
    }
}

fn used(id: &str, seconds: i64) -> SessionUse {
    SessionUse { session: session_id(id), last_seen_at: at(seconds), expires_at: at(seconds + 100) }
}

fn note(store: &WriteBehindStore, used: &SessionUse) {
    now(store.note_use(used)).expect("the store works");
}

fn last_seen(store: &dyn Store, id: &str) -> Option<UnixTime> {
    now(store.session(&session_id(id))).expect("the store works").map(|session| session.last_seen_at)
}

/// A store behind, and it in front of that.
fn stores(most: usize) -> (Arc<MemoryStore>, WriteBehindStore) {
    let inner = Arc::new(MemoryStore::new());
    (inner.clone(), WriteBehindStore::with_bound(inner, most))
}

#[test]
fn a_session_that_ended_does_not_come_back() {
    // req J5
    let (inner, store) = stores(10);
    now(inner.create_session(&session("one", "alice", at(0)))).expect("the store works");
    note(&store, &used("one", 50));
    let logout = revocation(session_target("one"), RevocationCause::Logout, at(60));
    now(store.revoke(&logout)).expect("the store works");
    assert_eq!(last_seen(&store, "one"), None);
    now(store.flush()).expect("the store works");
    assert_eq!((last_seen(&store, "one"), last_seen(&*inner, "one")), (None, None));
}

#[test]
fn beyond_the_bound_a_use_is_written_at_once() {
    let (inner, store) = stores(2);
    for id in ["one", "two", "three"] {
        now(inner.create_session(&session(id, "alice", at(0)))).expect("the store works");
        note(&store, &used(id, 50));
    }
    note(&store, &used("one", 60));
    assert_eq!(store.unwritten(), 2);
    assert_eq!(["one", "two", "three"].map(|id| last_seen(&*inner, id)), [Some(at(0)), Some(at(0)), Some(at(50))]);
    assert_eq!(["one", "two", "three"].map(|id| last_seen(&store, id)), [Some(at(60)), Some(at(50)), Some(at(50))]);
    now(store.flush()).expect("the store works");
    assert_eq!((store.unwritten(), last_seen(&*inner, "one")), (0, Some(at(60))));
}

#[test]
fn a_session_in_use_is_not_reaped_as_idle() {
    // req J4
    let (inner, store) = stores(10);
    for id in ["used", "idle"] {
        now(inner.create_session(&session(id, "alice", at(0)))).expect("the store works");
    }
    note(&store, &used("used", 50));
    assert_eq!(now(store.reap_sessions(at(40), at(0))).expect("the store works"), 1);
    assert_eq!((last_seen(&store, "used"), last_seen(&store, "idle")), (Some(at(50)), None));
}

#[test]
fn uses_on_their_way_to_the_store_count_and_come_back_if_they_do_not_arrive() {
    let (inner, store) = stores(10);
    now(inner.create_session(&session("one", "alice", at(0)))).expect("the store works");
    now(inner.create_session(&session("two", "alice", at(0)))).expect("the store works");
    note(&store, &used("one", 50));
    note(&store, &used("two", 50));
    {
        let mut uses = store.shared.uses.lock();
        uses.writing = std::mem::take(&mut uses.waiting);
    }
    let unwritten = Unwritten(&store.shared.uses);
    assert_eq!((last_seen(&store, "one"), store.unwritten()), (Some(at(50)), 2));
    note(&store, &used("one", 70));
    // The write failed, or its caller gave it up.
    drop(unwritten);
    assert_eq!(["one", "two"].map(|id| last_seen(&store, id)), [Some(at(70)), Some(at(50))]);
    assert_eq!(now(store.flush()).expect("the store works").len(), 2);
    assert_eq!(["one", "two"].map(|id| last_seen(&*inner, id)), [Some(at(70)), Some(at(50))]);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Create(u8),
    Use(u8, i64),
    Touch(u8, i64),
    Revoke(u8),
    Flush,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..4u8).prop_map(Step::Create),
        (0..4u8, 0..100i64).prop_map(|(id, seconds)| Step::Use(id, seconds)),
        (0..4u8, 0..100i64).prop_map(|(id, seconds)| Step::Touch(id, seconds)),
        (0..4u8).prop_map(Step::Revoke),
        Just(Step::Flush),
    ];
    prop::collection::vec(step, 1..40)
}

proptest! {
    /// The law: whatever is done, every reading is that of a store which writes each use at once (req J4, J5).
    #[test]
    fn every_reading_is_as_if_each_use_were_written(steps in steps(), most in 0..4usize) {
        let (inner, store) = stores(most);
        let model = MemoryStore::new();
        // A session id is given once.
        let mut created = Vec::new();
        let name = |id: u8| format!("session-{id}");
        for step in steps {
            match step {
                Step::Create(id) if created.contains(&id) => {}
                Step::Create(id) => {
                    created.push(id);
                    let session = session(&name(id), "alice", at(1));
                    now(store.create_session(&session)).expect("the store works");
                    now(model.create_session(&session)).expect("the store works");
                }
                // The caller knows that there was such a session.
                Step::Use(id, _) if !created.contains(&id) => {}
                Step::Use(id, seconds) => {
                    note(&store, &used(&name(id), seconds));
                    now(model.touch_session(&session_id(&name(id)), at(seconds))).expect("the store works");
                }
                Step::Touch(id, seconds) => {
                    let answers = [&store as &dyn Store, &model]
                        .map(|store| now(store.touch_session(&session_id(&name(id)), at(seconds))).expect("the store works"));
                    prop_assert_eq!(answers[0], answers[1]);
                }
                Step::Revoke(id) => {
                    let logout = revocation(session_target(&name(id)), RevocationCause::Logout, at(1));
                    now(store.revoke(&logout)).expect("the store works");
                    now(model.revoke(&logout)).expect("the store works");
                }
                Step::Flush => {
                    now(store.flush()).expect("the store works");
                    prop_assert_eq!(store.unwritten(), 0);
                }
            }
            prop_assert!(store.unwritten() <= most);
            let read = |store: &dyn Store| now(store.sessions_of(&user_id("alice"), None, 9)).expect("the store works");
            prop_assert_eq!(read(&store), read(&model));
            for id in 0..4 {
                let by_secret = |store: &dyn Store| now(store.session_by_secret(&secret(&name(id)))).expect("the store works");
                prop_assert_eq!(by_secret(&store), by_secret(&model));
            }
        }
        now(store.flush()).expect("the store works");
        let written = now(inner.sessions_of(&user_id("alice"), None, 9)).expect("the store works");
        prop_assert_eq!(written, now(model.sessions_of(&user_id("alice"), None, 9)).expect("the store works"));
    }
}
