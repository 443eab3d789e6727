//! Session events between two nodes.

use std::sync::Arc;
use std::time::Duration;

use usher_auth::connection::RenewedToken;
use usher_auth::ids::TokenId;
use usher_auth::revocation::{BlockedUser, RevocationCause};

use super::fixtures::{at, revocation, session, session_id, session_target, user, user_id};
use crate::{MAX_QUEUED_EVENTS, ReceivedEvent, SessionEvent, SessionEventReceiver, SessionEvents, SessionUse};

#[doc(hidden)]
pub const SOURCE: &str = include_str!("session_events.rs");

type Nodes = [Arc<dyn SessionEvents>; 2];

async fn subscribe(events: &Arc<dyn SessionEvents>) -> Box<dyn SessionEventReceiver> {
    events.subscribe().await.expect("events can be received")
}

async fn publish(events: &Arc<dyn SessionEvents>, event: &SessionEvent) {
    events.publish(event).await.expect("events can be published");
}

fn added(number: usize) -> SessionEvent {
    SessionEvent::UserAdded(user_id(&format!("user-{number}")))
}

async fn next(receiver: &mut Box<dyn SessionEventReceiver>) -> SessionEvent {
    match receiver.next().await {
        ReceivedEvent::Event(event) => *event,
        ReceivedEvent::Missed => panic!("no event may be missed here"),
    }
}

/// To the last field.
pub async fn every_event_arrives_as_it_was([one, other]: Nodes) {
    let token = RenewedToken {
        token_id: TokenId::from_random([1; 16]),
        issued_at: at(5),
        expires_at: at(600),
        roles_read_at: at(5),
    };
    let events = [
        SessionEvent::Revoked {
            revocations: vec![revocation(session_target("one"), RevocationCause::Logout, at(1))],
            margin: Some(Duration::from_millis(1500)),
        },
        SessionEvent::Renewed { session: session("two", "alice", at(2)), user: user("alice"), token },
        SessionEvent::Used(vec![SessionUse { session: session_id("two"), last_seen_at: at(3), expires_at: at(9) }]),
        SessionEvent::UserChanged { user: user("alice"), read_at: at(4) },
        SessionEvent::UserBlocked(BlockedUser { user: user_id("idp:7"), cause: RevocationCause::UserBanned }),
        SessionEvent::UserUnblocked(user_id("idp:7")),
        SessionEvent::UserAdded(user_id("bob")),
        SessionEvent::UserRemoved(user_id("bob")),
    ];
    let mut receiver = subscribe(&other).await;
    for event in &events {
        publish(&one, event).await;
    }
    for event in events {
        assert_eq!(format!("{:?}", next(&mut receiver).await), format!("{event:?}"));
    }
}

/// Only what others publish is new to a node.
pub async fn a_node_does_not_hear_itself([one, other]: Nodes) {
    let (mut at_one, mut at_other) = (subscribe(&one).await, subscribe(&other).await);
    publish(&one, &added(1)).await;
    publish(&other, &added(2)).await;
    assert_eq!(format!("{:?}", next(&mut at_one).await), format!("{:?}", added(2)));
    assert_eq!(format!("{:?}", next(&mut at_other).await), format!("{:?}", added(1)));
}

/// All that comes after the subscription, in order, whenever it is looked at.
pub async fn what_is_published_after_subscribing_is_received_in_order([one, other]: Nodes) {
    publish(&one, &added(0)).await;
    let mut receiver = subscribe(&other).await;
    for number in 1..=100 {
        publish(&one, &added(number)).await;
    }
    for number in 1..=100 {
        assert_eq!(format!("{:?}", next(&mut receiver).await), format!("{:?}", added(number)));
    }
}

/// A node that is too slow is told so, and hears again what comes then.
pub async fn a_node_that_missed_events_is_told([one, other]: Nodes) {
    let mut receiver = subscribe(&other).await;
    for number in 0..MAX_QUEUED_EVENTS * 3 {
        publish(&one, &added(number)).await;
    }
    let last = added(MAX_QUEUED_EVENTS * 3);
    publish(&one, &last).await;
    let mut missed = 0;
    loop {
        match receiver.next().await {
            ReceivedEvent::Missed => missed += 1,
            ReceivedEvent::Event(event) if format!("{event:?}") == format!("{last:?}") => break,
            ReceivedEvent::Event(_) => {}
        }
    }
    assert!(missed > 0, "events were dropped without a word");
}
