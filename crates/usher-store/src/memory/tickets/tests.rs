//! The suite, and what concerns this store alone: real threads, and how much it holds.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll, Waker};
use std::thread;

use usher_auth::UnixTime;

use super::*;
use crate::conformance::TICKET_BOUNDS;
use crate::conformance::fixtures::{at, clocks, secret, ticket};

#[expect(clippy::unused_async, reason = "the suite awaits the making of a store")]
async fn empty() -> (Arc<dyn TicketStore>, ()) {
    (Arc::new(MemoryTickets::new(TICKET_BOUNDS)), ())
}

crate::ticket_conformance!(empty);

/// The answer of a future that never waits.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("the memory store does not wait"),
    }
}

fn put(store: &MemoryTickets, name: &str, of: Ticket, when: UnixTime) {
    now(store.put(&secret(name), of, clocks(when))).expect("the store works").expect("there is room");
}

fn redeem(store: &MemoryTickets, name: &str, when: UnixTime) -> RedeemedTicket {
    now(store.redeem(&secret(name), clocks(when))).expect("the store works")
}

/// How much is held: outstanding, gone, buyers.
fn held(store: &MemoryTickets) -> (usize, usize, usize) {
    let tickets = store.tickets.lock();
    (tickets.outstanding.len(), tickets.gone.len(), tickets.outstanding_of.len())
}

#[test]
fn of_racing_threads_one_gets_the_ticket_in_each_of_ten_thousand_rounds() {
    // req D3, O7
    const ROUNDS: usize = 10_000;
    const THREADS: usize = 4;
    let store = MemoryTickets::new(TicketBounds { per_user: ROUNDS, total: ROUNDS });
    for round in 0..ROUNDS {
        put(&store, &round.to_string(), ticket("alice", Some("s"), at(0)), at(0));
    }
    let won: Vec<AtomicUsize> = (0..ROUNDS).map(|_| AtomicUsize::new(0)).collect();
    let start = Barrier::new(THREADS);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for (round, won) in won.iter().enumerate() {
                    let name = round.to_string();
                    start.wait();
                    match redeem(&store, &name, at(1)) {
                        RedeemedTicket::Good(_) => won.fetch_add(1, Ordering::Relaxed),
                        RedeemedTicket::Gone => 0,
                        RedeemedTicket::Unknown => panic!("it was put"),
                    };
                }
            });
        }
    });
    assert!(won.iter().all(|won| won.load(Ordering::Relaxed) == 1));
    assert_eq!(held(&store), (0, ROUNDS, 0));
}

#[test]
fn of_a_thousand_racing_threads_one_gets_the_ticket() {
    // req D3
    const THREADS: usize = 1000;
    let store = MemoryTickets::new(TICKET_BOUNDS);
    put(&store, "one", ticket("alice", Some("s"), at(0)), at(0));
    let start = Barrier::new(THREADS);
    let good = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                start.wait();
                if let RedeemedTicket::Good(_) = redeem(&store, "one", at(1)) {
                    good.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(good.into_inner(), 1);
}

#[test]
fn nothing_is_held_of_tickets_long_over() {
    // req D8
    let store = MemoryTickets::new(TicketBounds { per_user: 10, total: 10 });
    for n in 0..10 {
        put(&store, &n.to_string(), ticket(&format!("user-{n}"), None, at(0)), at(0));
    }
    assert!(matches!(redeem(&store, "0", at(1)), RedeemedTicket::Good(_)));
    assert_eq!(held(&store), (9, 1, 9));
    redeem(&store, "none", at(30));
    assert_eq!(held(&store), (0, 10, 0));
    redeem(&store, "none", at(89));
    assert_eq!(held(&store), (0, 10, 0));
    redeem(&store, "none", at(90));
    assert_eq!(held(&store), (0, 0, 0));
    assert!(matches!(redeem(&store, "0", at(90)), RedeemedTicket::Unknown));
}

#[test]
fn what_is_remembered_of_spent_tickets_is_bounded() {
    // req D8
    let store = MemoryTickets::new(TicketBounds { per_user: 1, total: 10 });
    for n in 0..1000 {
        put(&store, &n.to_string(), ticket("alice", None, at(0)), at(0));
        assert!(matches!(redeem(&store, &n.to_string(), at(0)), RedeemedTicket::Good(_)));
        assert!(held(&store).1 <= 10);
    }
    assert_eq!(held(&store), (0, 10, 0));
}

#[test]
fn a_bound_of_nothing_lets_nothing_in() {
    let store = MemoryTickets::new(TicketBounds { per_user: 1, total: 0 });
    let put = now(store.put(&secret("one"), ticket("alice", None, at(0)), clocks(at(0)))).expect("the store works");
    assert_eq!(put, Err(TicketRejected::Full));
}

#[test]
fn neither_secrets_nor_hashes_are_printed() {
    // req N3
    let store = MemoryTickets::new(TICKET_BOUNDS);
    put(&store, "one", ticket("alice", None, at(0)), at(0));
    put(&store, "two", ticket("alice", None, at(0)), at(0));
    redeem(&store, "two", at(1));
    let printed = format!("{store:?}");
    let bytes = format!("{:?}", secret("one").as_bytes());
    assert!(!printed.contains(&bytes), "{printed}");
    assert!(!printed.contains(&format!("{:?}", secret("two").as_bytes())), "{printed}");
}
