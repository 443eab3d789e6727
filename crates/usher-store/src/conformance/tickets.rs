//! Tickets (req D3–D8).

use std::collections::BTreeSet;
use std::sync::Arc;

use usher_auth::ids::{ApiKeyId, IssuerName, TokenId};
use usher_auth::permit::{CredentialFacts, Principal};
use usher_auth::test_util::UnboughtTicket;
use usher_auth::ticket::Ticket;
use usher_auth::{Now, UnixTime};

use super::fixtures::{at, clocks, secret, session_id, set_clocks, ticket, unbought_ticket, user_id};
use super::{TICKET_BOUNDS, at_once};
use crate::{RedeemedTicket, TicketRejected, TicketStore};

#[doc(hidden)]
pub const SOURCE: &str = include_str!("tickets.rs");

async fn put(store: &dyn TicketStore, name: &str, ticket: Ticket, now: UnixTime) -> Result<(), TicketRejected> {
    store.put(&secret(name), ticket, clocks(now)).await.expect("the store works")
}

/// What a presented ticket was, without what it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Was {
    Good,
    Gone,
    Unknown,
}

async fn redeem(store: &dyn TicketStore, name: &str, now: UnixTime) -> Was {
    redeem_now(store, name, clocks(now)).await
}

async fn redeem_now(store: &dyn TicketStore, name: &str, now: Now) -> Was {
    match store.redeem(&secret(name), now).await.expect("the store works") {
        RedeemedTicket::Good(_) => Was::Good,
        RedeemedTicket::Gone => Was::Gone,
        RedeemedTicket::Unknown => Was::Unknown,
    }
}

/// The first presentation takes it, whatever comes of it (req D3, D7).
pub async fn a_ticket_is_good_once(store: Arc<dyn TicketStore>) {
    for name in ["one", "two"] {
        put(&*store, name, ticket("alice", Some("s"), at(0)), at(0)).await.expect("there is room");
    }
    assert_eq!(redeem(&*store, "one", at(1)).await, Was::Good);
    assert_eq!(redeem(&*store, "one", at(1)).await, Was::Gone);
    assert_eq!(redeem(&*store, "one", at(2)).await, Was::Gone);
    assert_eq!(redeem(&*store, "two", at(2)).await, Was::Good);
    assert_eq!(redeem(&*store, "two", at(3)).await, Was::Gone);
}

/// What it is bound to decides what it opens (req D5, D6).
pub async fn a_ticket_comes_back_as_it_was(store: Arc<dyn TicketStore>) {
    let bare = UnboughtTicket {
        principal: Principal {
            id: user_id("google:117"),
            name: String::new(),
            roles: Vec::new(),
            claims: std::collections::BTreeMap::new(),
            anonymous: false,
        },
        credential: CredentialFacts {
            user: user_id("google:117"),
            session: None,
            token: Some((Some(IssuerName::new("google").expect("a valid name")), TokenId::new("é").expect("valid"))),
            api_key: None,
            issued_by: None,
            issued_at: UnixTime::EPOCH,
            roles_read_at: Some(at(3)),
        },
        credential_expires_at: None,
        expires_at: at(1),
        origin: None,
        path: None,
    };
    let mut with_key = unbought_ticket("zoë\u{1f600}", None, at(0));
    with_key.credential.api_key = Some(ApiKeyId::new("key_1").expect("a valid id"));
    let mut with_token = unbought_ticket("alice", Some("s"), at(0));
    with_token.credential.token = Some((None, TokenId::new("jti_1").expect("a valid id")));
    with_token.credential_expires_at = Some(UnixTime::MAX);
    for (name, ticket) in [("one", bare), ("two", with_key), ("three", with_token)] {
        let ticket = Ticket::from(ticket);
        put(&*store, name, ticket.clone(), at(0)).await.expect("there is room");
        match store.redeem(&secret(name), clocks(at(0))).await.expect("the store works") {
            RedeemedTicket::Good(found) => assert_eq!(format!("{found:?}"), format!("{ticket:?}")),
            other => panic!("{other:?}"),
        }
    }
}

/// And stays so.
pub async fn an_unknown_ticket_is_unknown(store: Arc<dyn TicketStore>) {
    for _ in 0..2 {
        assert_eq!(redeem(&*store, "one", at(0)).await, Was::Unknown);
    }
    put(&*store, "one", ticket("alice", None, at(0)), at(0)).await.expect("there is room");
    assert_eq!(redeem(&*store, "two", at(1)).await, Was::Unknown);
    assert_eq!(redeem(&*store, "one", at(1)).await, Was::Good);
}

/// Its last moment is over already; it is known for a minute more (req D4).
pub async fn a_ticket_is_good_until_it_is_over(store: Arc<dyn TicketStore>) {
    let last = UnixTime::from_millis(at(30).as_millis() - 1);
    for (name, now, expected) in [("one", last, Was::Good), ("two", at(30), Was::Gone)] {
        put(&*store, name, ticket("alice", None, at(0)), at(0)).await.expect("there is room");
        assert_eq!(redeem(&*store, name, now).await, expected);
    }
    assert_eq!(redeem(&*store, "two", at(60)).await, Was::Gone);
    put(&*store, "over", ticket("alice", None, at(20)), at(60)).await.expect("there is room");
    assert_eq!(redeem(&*store, "over", at(60)).await, Was::Gone, "it was over when it was bought");
}

/// req D4
pub async fn a_clock_stepped_back_revives_nothing(store: Arc<dyn TicketStore>) {
    put(&*store, "one", ticket("alice", None, at(0)), at(0)).await.expect("there is room");
    assert_eq!(redeem(&*store, "one", at(31)).await, Was::Gone);
    assert_ne!(redeem_now(&*store, "one", set_clocks(32, 1)).await, Was::Good);
    assert_ne!(redeem_now(&*store, "one", set_clocks(33, -3600)).await, Was::Good);
}

/// Also if nothing was asked of the store between the purchase and the step (req D4).
pub async fn a_clock_stepped_back_lengthens_no_life(store: Arc<dyn TicketStore>) {
    for name in ["one", "two"] {
        put(&*store, name, ticket("alice", None, at(0)), at(0)).await.expect("there is room");
    }
    assert_eq!(redeem_now(&*store, "one", set_clocks(29, -3571)).await, Was::Good);
    assert_eq!(redeem_now(&*store, "two", set_clocks(30, -3570)).await, Was::Gone);
}

/// A ticket has ended by the wall clock, too, which is what its buyer was told (req D4).
pub async fn a_clock_set_forward_ends_a_ticket(store: Arc<dyn TicketStore>) {
    put(&*store, "one", ticket("alice", None, at(0)), at(0)).await.expect("there is room");
    assert_eq!(redeem_now(&*store, "one", set_clocks(1, 30)).await, Was::Gone);
}

/// What is bought after the step is good by the clock as it is then.
pub async fn a_clock_stepped_back_does_not_stop_the_sale(store: Arc<dyn TicketStore>) {
    put(&*store, "one", ticket("alice", None, at(0)), at(0)).await.expect("there is room");
    assert_eq!(redeem(&*store, "one", at(1)).await, Was::Good);
    for name in ["two", "three"] {
        let bought = store.put(&secret(name), ticket("alice", None, at(-3600)), set_clocks(2, -3600)).await;
        bought.expect("the store works").expect("there is room");
    }
    assert_eq!(redeem_now(&*store, "two", set_clocks(31, -3571)).await, Was::Good);
    assert_eq!(redeem_now(&*store, "three", set_clocks(32, -3570)).await, Was::Gone);
}

/// Whatever sessions they were bought with, or without one: an account meets its own bound, and no other user's (req D8).
pub async fn outstanding_tickets_are_counted_by_user(store: Arc<dyn TicketStore>) {
    let sessions = [Some("s"), Some("t"), None];
    for n in 0..TICKET_BOUNDS.per_user {
        let ticket = ticket("alice", sessions[n % sessions.len()], at(0));
        put(&*store, &n.to_string(), ticket, at(0)).await.expect("there is room");
    }
    for session in [Some("s"), Some("another"), None] {
        let more = put(&*store, "more", ticket("alice", session, at(0)), at(0)).await;
        assert_eq!(more, Err(TicketRejected::TooManyForUser));
    }
    assert_eq!(redeem(&*store, "more", at(1)).await, Was::Unknown, "what was not taken in is no ticket");
    assert_eq!(put(&*store, "bobs", ticket("bob", Some("alice"), at(0)), at(0)).await, Ok(()));
    assert_eq!(redeem(&*store, "0", at(1)).await, Was::Good, "those taken in are not touched");
    assert_eq!(put(&*store, "again", ticket("alice", None, at(1)), at(1)).await, Ok(()));
}

/// For the same buyer, and in all.
pub async fn a_spent_ticket_makes_room(store: Arc<dyn TicketStore>) {
    for n in 0..10 * TICKET_BOUNDS.total {
        let name = n.to_string();
        assert_eq!(put(&*store, &name, ticket("alice", Some("s"), at(0)), at(0)).await, Ok(()), "{n}");
        assert_eq!(redeem(&*store, &name, at(0)).await, Was::Good, "{n}");
    }
}

/// Without anybody asking for it (req D8).
pub async fn an_expired_ticket_makes_room(store: Arc<dyn TicketStore>) {
    for round in 0..10 {
        let now = at(round * 30);
        for n in 0..TICKET_BOUNDS.per_user {
            let ticket = ticket("alice", Some("s"), now);
            assert_eq!(put(&*store, &format!("{round}-{n}"), ticket, now).await, Ok(()), "{round}");
        }
        let more = put(&*store, "more", ticket("alice", Some("s"), now), now).await;
        assert_eq!(more, Err(TicketRejected::TooManyForUser), "{round}");
    }
}

/// However many buyers there are (req D8).
pub async fn outstanding_tickets_are_counted_in_all(store: Arc<dyn TicketStore>) {
    for n in 0..TICKET_BOUNDS.total {
        let name = n.to_string();
        put(&*store, &name, ticket(&name, None, at(0)), at(0)).await.expect("there is room");
    }
    assert_eq!(put(&*store, "more", ticket("bob", None, at(0)), at(0)).await, Err(TicketRejected::Full));
    assert_eq!(redeem(&*store, "0", at(1)).await, Was::Good);
    assert_eq!(put(&*store, "more", ticket("bob", None, at(1)), at(1)).await, Ok(()));
    assert_eq!(put(&*store, "yet-more", ticket("bob", None, at(1)), at(1)).await, Err(TicketRejected::Full));
    assert_eq!(put(&*store, "later", ticket("bob", None, at(30)), at(30)).await, Ok(()));
}

/// And the first one stays as it was.
pub async fn a_second_ticket_of_the_same_secret_is_an_error(store: Arc<dyn TicketStore>) {
    put(&*store, "one", ticket("alice", Some("s"), at(0)), at(0)).await.expect("there is room");
    store.put(&secret("one"), ticket("mallory", None, at(0)), clocks(at(0))).await.expect_err("the secret is taken");
    match store.redeem(&secret("one"), clocks(at(1))).await.expect("the store works") {
        RedeemedTicket::Good(found) => assert_eq!(found.credential().session, Some(session_id("s"))),
        other => panic!("{other:?}"),
    }
    assert_eq!(redeem(&*store, "one", at(1)).await, Was::Gone);
}

/// req D3
pub async fn of_a_thousand_uses_at_once_one_gets_it(store: Arc<dyn TicketStore>) {
    put(&*store, "one", ticket("alice", Some("s"), at(0)), at(0)).await.expect("there is room");
    let mut outcomes = at_once(1000, |_| {
        let store = store.clone();
        async move { redeem(&*store, "one", at(1)).await }
    })
    .await;
    outcomes.sort_unstable();
    assert_eq!(outcomes[0], Was::Good);
    assert!(outcomes[1..].iter().all(|outcome| *outcome == Was::Gone));
}

/// However many come at once (req D8).
pub async fn purchases_at_once_stay_within_the_bound(store: Arc<dyn TicketStore>) {
    let outcomes = at_once(100, |n| {
        let store = store.clone();
        async move { (n, put(&*store, &n.to_string(), ticket("alice", Some("s"), at(0)), at(0)).await) }
    })
    .await;
    let taken: BTreeSet<usize> = outcomes.iter().filter(|(_, outcome)| outcome.is_ok()).map(|(n, _)| *n).collect();
    assert_eq!(taken.len(), TICKET_BOUNDS.per_user);
    for n in 0..100 {
        let expected = if taken.contains(&n) { Was::Good } else { Was::Unknown };
        assert_eq!(redeem(&*store, &n.to_string(), at(1)).await, expected);
    }
}
