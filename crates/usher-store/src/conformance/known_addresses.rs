//! Known addresses.

use std::sync::Arc;

use usher_auth::UnixTime;

use super::fixtures::{at, secret, times, user, user_id};
use crate::{HashedAddress, KnownAddress, KnownAddressBounds, Store, UserChange};

#[doc(hidden)]
pub const SOURCE: &str = include_str!("known_addresses.rs");

const MANY: KnownAddressBounds = KnownAddressBounds { per_user: 100, total: 100 };

fn known(of: &str, address: &str, seen_at: UnixTime) -> KnownAddress {
    KnownAddress { user: user_id(of), address: HashedAddress::from_bytes(*secret(address).as_bytes()), seen_at }
}

async fn with_users(store: &dyn Store) {
    for id in ["alice", "bob"] {
        store.create_user(&user(id), None).await.expect("the store works");
    }
}

async fn all(store: &dyn Store) -> Vec<KnownAddress> {
    store.known_addresses(u32::MAX).await.expect("the store works")
}

/// Everything comes back in the order in which it was seen, and a limit keeps what was seen last.
pub async fn addresses_are_remembered_in_the_order_they_were_seen(store: Arc<dyn Store>) {
    with_users(&*store).await;
    assert_eq!(all(&*store).await, []);
    let addresses = [known("bob", "b", at(3)), known("alice", "a", at(1)), known("alice", "b", at(2))];
    store.remember_addresses(&addresses, MANY).await.expect("the store works");
    let [last, first, second] = addresses;
    assert_eq!(all(&*store).await, [first, second.clone(), last.clone()]);
    assert_eq!(store.known_addresses(2).await.expect("the store works"), [second, last]);
    assert_eq!(store.known_addresses(0).await.expect("the store works"), []);
}

/// One address of a user is one, and its time only moves forward.
pub async fn an_address_is_remembered_once_and_its_time_moves_forward(store: Arc<dyn Store>) {
    with_users(&*store).await;
    for (seen, expected) in [(at(5), at(5)), (at(3), at(5)), (at(7), at(7))] {
        store.remember_addresses(&[known("alice", "a", seen)], MANY).await.expect("the store works");
        assert_eq!(all(&*store).await, [known("alice", "a", expected)]);
    }
}

/// A log-in may end after its user was removed.
pub async fn an_address_of_an_unknown_user_is_passed_over(store: Arc<dyn Store>) {
    with_users(&*store).await;
    let addresses = [known("nobody", "a", at(1)), known("alice", "a", at(2))];
    store.remember_addresses(&addresses, MANY).await.expect("the store works");
    assert_eq!(all(&*store).await, [known("alice", "a", at(2))]);
}

/// Beyond the bounds those seen longest ago go: first of the user, then of all.
pub async fn addresses_are_bounded_by_user_and_in_all(store: Arc<dyn Store>) {
    with_users(&*store).await;
    let bounds = KnownAddressBounds { per_user: 2, total: 3 };
    let of_alice = [known("alice", "a", at(1)), known("alice", "b", at(2)), known("alice", "c", at(3))];
    store.remember_addresses(&of_alice, bounds).await.expect("the store works");
    assert_eq!(all(&*store).await, of_alice[1..]);
    store.remember_addresses(&[known("bob", "a", at(4))], bounds).await.expect("the store works");
    assert_eq!(all(&*store).await.len(), 3);
    store.remember_addresses(&[known("bob", "b", at(5))], bounds).await.expect("the store works");
    assert_eq!(all(&*store).await, [known("alice", "c", at(3)), known("bob", "a", at(4)), known("bob", "b", at(5))]);
}

/// What is as old as the moment stays.
pub async fn old_addresses_are_reaped(store: Arc<dyn Store>) {
    with_users(&*store).await;
    let addresses = [known("alice", "a", at(1)), known("alice", "b", at(2)), known("bob", "a", at(3))];
    store.remember_addresses(&addresses, MANY).await.expect("the store works");
    assert_eq!(store.reap_known_addresses(at(2)).await.expect("the store works"), 1);
    assert_eq!(all(&*store).await, addresses[1..]);
    assert_eq!(store.reap_known_addresses(at(2)).await.expect("the store works"), 0);
}

/// Deleting a user forgets theirs, and a new user of that name begins with none.
pub async fn addresses_go_with_their_user(store: Arc<dyn Store>) {
    with_users(&*store).await;
    let addresses = [known("alice", "a", at(1)), known("bob", "a", at(2))];
    store.remember_addresses(&addresses, MANY).await.expect("the store works");
    let removed = store.change_user(&user_id("alice"), &UserChange::Remove, times(at(5))).await;
    assert!(removed.expect("the store works").is_some());
    assert_eq!(all(&*store).await, addresses[1..]);
    store.create_user(&user("alice"), None).await.expect("the store works");
    assert_eq!(all(&*store).await, addresses[1..]);
}
