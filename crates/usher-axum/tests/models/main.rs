//! The registry, the mailbox and the list of revocations under a scheduler that tries their interleavings (req O7, H4, H5).
//!
//! The modules are those of the crate itself, with the scheduler's locks in the place of theirs.

#![allow(dead_code, unreachable_pub, reason = "the modules bring more than the models ask of them")]

mod flushing;
mod sync;

#[path = "../../src/budget.rs"]
mod budget;
#[path = "../../src/client_address/mod.rs"]
mod client_address;
#[path = "../../src/flusher.rs"]
mod flusher;
#[path = "../../src/live_connections.rs"]
mod live_connections;
#[path = "../../src/mailbox.rs"]
mod mailbox;
#[path = "../../src/observer.rs"]
mod observer;
#[path = "../../src/orders.rs"]
mod orders;
#[path = "../../src/presenter.rs"]
mod presenter;
#[path = "../../src/registry.rs"]
mod registry;
#[path = "../../src/revocation_list.rs"]
mod revocation_list;
#[path = "../../src/way.rs"]
mod way;
#[path = "../../src/socket/wire.rs"]
mod wire;

use std::sync::Arc;
use std::sync::atomic::AtomicBool as Unscheduled;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use shuttle::sync::atomic::{AtomicBool, Ordering};
use shuttle::thread;
use usher_auth::ids::{ConnectionId, SessionId, UserId};
use usher_auth::permit::CredentialFacts;
use usher_auth::revocation::{Revocation, RevocationCause, RevocationIndex, RevocationTarget};
use usher_auth::wire::Frame;
use usher_auth::{Now, UnixTime};

use self::budget::{ConnectionLimits, SourceBudget};
use self::client_address::ClientAddress;
use self::live_connections::LiveConnections;
use self::mailbox::ConnectionHandle;
use self::orders::Order;
use self::presenter::Presenter;
use self::revocation_list::RevocationList;

const NOW: Now = Now { monotonic: Duration::from_secs(1), unix: UnixTime::from_seconds(1_760_000_000) };
/// Schedules tried of each model. Each is another random one; the seed is printed with a failure.
const SCHEDULES: usize = 3_000;

fn facts(session: &str) -> Arc<CredentialFacts> {
    Arc::new(CredentialFacts {
        user: UserId::new("alice").expect("an id"),
        session: Some(SessionId::new(session).expect("an id")),
        token: None,
        api_key: None,
        issued_by: None,
        issued_at: UnixTime::EPOCH,
        roles_read_at: None,
    })
}

fn end_of(session: &str) -> Revocation {
    let target = RevocationTarget::Session(SessionId::new(session).expect("an id"));
    Revocation { target, cause: RevocationCause::Logout, at: NOW.unix, forget_at: UnixTime::MAX }
}

/// The list and the connections of one process.
#[derive(Clone)]
struct Process {
    list: RevocationList,
    connections: LiveConnections,
}

impl Process {
    fn new() -> Self {
        let list = RevocationList::of(RevocationIndex::default());
        Self { connections: LiveConnections::new(list.clone()), list }
    }

    /// As `SessionState::apply` does: the list first.
    fn apply(&self, revocation: &Revocation) -> usize {
        self.list.insert([revocation]);
        self.connections.end(revocation, None, NOW)
    }
}

fn handle(number: u8) -> Arc<ConnectionHandle> {
    Arc::new(ConnectionHandle::new(ConnectionId::from_random([number; 16]), 1 << 20))
}

/// How many frames wait; they are gone after that.
fn frames_left(connection: &ConnectionHandle) -> usize {
    connection.take_queued().map_or(0, |taken| taken.frames.len())
}

#[test]
fn a_revocation_and_a_registration_cannot_miss_each_other() {
    // req H5
    shuttle::check_random(
        || {
            let process = Process::new();
            let connection = handle(1);
            let registering = {
                let (process, connection) = (process.clone(), connection.clone());
                thread::spawn(move || {
                    process
                        .connections
                        .register(&connection, &facts("one"), ConnectionLimits::default(), NOW)
                        .expect("room")
                })
            };
            let ended = process.apply(&end_of("one"));
            let _registration = registering.join().expect("no panic");
            assert!(connection.is_shut());
            assert!(ended <= 1);
        },
        SCHEDULES,
    );
}

#[test]
fn a_connection_that_changes_its_session_is_found_by_one_of_them() {
    // req H5, H7: both are ended while it moves from the one to the other.
    shuttle::check_random(
        || {
            let process = Process::new();
            let connection = handle(1);
            let limits = ConnectionLimits::default();
            let mut registration = process.connections.register(&connection, &facts("old"), limits, NOW).expect("room");
            let moving = {
                let (process, connection) = (process.clone(), connection.clone());
                thread::spawn(move || {
                    assert!(process.connections.replace(&mut registration, &connection, &facts("new"), limits, NOW));
                    registration
                })
            };
            let ending_old = {
                let process = process.clone();
                thread::spawn(move || process.apply(&end_of("old")))
            };
            process.apply(&end_of("new"));
            ending_old.join().expect("no panic");
            let _registration = moving.join().expect("no panic");
            assert!(connection.is_shut());
            assert_eq!(process.connections.count(), 1, "in the registry all the time, and once");
        },
        SCHEDULES,
    );
}

#[test]
fn nothing_moves_once_the_revocation_has_returned() {
    // req H4
    shuttle::check_random(
        || {
            let process = Process::new();
            let connection = handle(1);
            let limits = ConnectionLimits::default();
            let _registration = process.connections.register(&connection, &facts("one"), limits, NOW).expect("room");
            let acknowledged = Arc::new(AtomicBool::new(false));
            let task = {
                let (connection, acknowledged) = (connection.clone(), acknowledged.clone());
                thread::spawn(move || {
                    for _ in 0..3 {
                        if let Some(_traffic) = connection.traffic() {
                            assert!(!acknowledged.load(Ordering::SeqCst), "traffic after the acknowledgement");
                        }
                    }
                })
            };
            assert_eq!(process.apply(&end_of("one")), 1);
            acknowledged.store(true, Ordering::SeqCst);
            // What others send to it from here on goes nowhere.
            connection.deliver(&Frame::json(&"late"));
            assert!(frames_left(&connection) == 0, "a frame after the acknowledgement");
            task.join().expect("no panic");
        },
        SCHEDULES,
    );
}

#[test]
fn waiting_places_are_counted_and_given_back() {
    // req E3
    shuttle::check_random(
        || {
            let budget = SourceBudget::new(3, 2);
            let (one, two) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
            let first = budget.take(one).expect("a place");
            let _second = budget.take(one).expect("a place");
            assert!(budget.take(one).is_none(), "two from one address");
            let _third = budget.take(two).expect("a place");
            assert!(budget.take(two).is_none(), "three in all");
            drop(first);
            assert!(budget.take(two).is_some());
        },
        1,
    );
}

#[test]
fn a_limit_is_a_limit() {
    // req H15, E3
    shuttle::check_random(
        || {
            let process = Process::new();
            let limits = ConnectionLimits { per_user: 2, per_session: 2 };
            let waiting = SourceBudget::new(2, 2);
            let threads: Vec<_> = (1..=3)
                .map(|number| {
                    let (process, waiting) = (process.clone(), waiting.clone());
                    thread::spawn(move || {
                        let place = waiting.take([127, 0, 0, 1].into());
                        (process.connections.register(&handle(number), &facts("one"), limits, NOW), place)
                    })
                })
                .collect();
            let held: Vec<_> = threads.into_iter().map(|thread| thread.join().expect("no panic")).collect();
            assert_eq!(held.iter().filter(|(registration, _)| registration.is_some()).count(), 2);
            assert_eq!(held.iter().filter(|(_, place)| place.is_some()).count(), 2);
            drop(held);
            assert_eq!(process.connections.count(), 0);
        },
        SCHEDULES,
    );
}

#[test]
fn whoever_looks_into_an_empty_mailbox_is_woken() {
    struct Flag(Unscheduled);
    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, std::sync::atomic::Ordering::SeqCst);
        }
    }
    shuttle::check_random(
        || {
            let connection = handle(1);
            let woken = Arc::new(Flag(Unscheduled::new(false)));
            let others: Vec<_> = (0..2)
                .map(|number| {
                    let connection = connection.clone();
                    thread::spawn(move || match number {
                        0 => connection.deliver(&Frame::json(&"hello")),
                        _ => drop(connection.amend(|amendments| {
                            amendments.margin = Some((Duration::from_secs(1), RevocationCause::Logout));
                        })),
                    })
                })
                .collect();
            let waker = Waker::from(woken.clone());
            let mut context = Context::from_waker(&waker);
            let mut amended = false;
            let waiting = match connection.poll_order(&mut context, true) {
                Poll::Ready(Order::Amend(_)) => {
                    amended = true;
                    connection.poll_order(&mut context, true).is_pending()
                }
                Poll::Ready(order) => panic!("{order:?}"),
                Poll::Pending => true,
            };
            assert!(waiting);
            let seen = frames_left(&connection);
            for other in others {
                other.join().expect("no panic");
            }
            if seen == 0 || !amended {
                assert!(woken.0.load(std::sync::atomic::Ordering::SeqCst), "it sleeps with something in its mailbox");
            }
        },
        SCHEDULES,
    );
}
