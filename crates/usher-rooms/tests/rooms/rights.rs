//! Rights in rooms: who may do what, and what happens when that changes.

use serde_json::{Value, json};
use usher_auth::ids::ConnectionId;
use usher_auth::room::{Presence, RoomAction, RoomPolicy};
use usher_auth::test_util::visitor;
use usher_rooms::{RoomError, RoomLimits, Rooms};

use crate::support::{Actor, START, boards, named_permit, open_rule, permit, room, rule};

const NOTHING: [Value; 0] = [];

fn forbidden(result: &Result<(), RoomError>) -> Option<RoomAction> {
    match result {
        Err(RoomError::Forbidden { action, .. }) => Some(*action),
        _ => None,
    }
}

#[test]
fn joining_publishing_and_typing_are_rights_of_their_own() {
    // req I1
    let policy = RoomPolicy::new(vec![rule("news", "any", "role:editor", "role:reporter")]);
    let rooms = Rooms::new(policy, RoomLimits::default());
    let mut reader = Actor::in_room(&rooms, &permit("user-reader", &[]), "news");
    let mut editor = Actor::in_room(&rooms, &permit("user-editor", &["editor"]), "news");
    let mut reporter = Actor::in_room(&rooms, &permit("user-reporter", &["reporter"]), "news");
    for actor in [&reader, &editor, &reporter] {
        actor.received();
    }
    let (publish, typing) = (r#"{"type":"publish","room":"news","data":0}"#, r#"{"type":"typing","room":"news"}"#);

    assert_eq!(forbidden(&reader.send(publish)), Some(RoomAction::Publish));
    assert_eq!(forbidden(&reader.send(typing)), Some(RoomAction::Typing));
    assert_eq!(forbidden(&reporter.send(publish)), Some(RoomAction::Publish));
    assert_eq!(forbidden(&editor.send(typing)), Some(RoomAction::Typing));
    for actor in [&reader, &reporter, &editor] {
        assert!(actor.received().iter().all(|frame| frame["code"] == "forbidden"), "only refusals so far");
    }
    editor.send(publish).expect("may publish");
    reporter.send(typing).expect("may type");
    let types: Vec<_> = reader.received().iter().map(|frame| frame["type"].clone()).collect();
    assert_eq!(types, ["message", "user_typing"]);
}

#[test]
fn what_no_rule_names_is_nobodys() {
    // req I1
    let rooms = Rooms::new(boards(), RoomLimits::default());
    let mut alice = Actor::attach(&rooms, &permit("user-alice", &["admin"]));
    for name in ["lobby", "board-", "xboard-1", "BOARD-1", "board-1/../admin", "board-*/x", "*", "b\u{43e}ard-1"] {
        let result = alice.send(&format!(r#"{{"type":"join","room":"{name}"}}"#));
        assert_eq!(forbidden(&result), Some(RoomAction::Join), "{name}");
    }
    assert_eq!(rooms.room_count(), 0);
    // Anonymous visitors are not "any".
    let mut visitor = Actor::attach(&rooms, &visitor(ConnectionId::from_random([1; 16]), START));
    assert_eq!(forbidden(&visitor.send(r#"{"type":"join","room":"board-1"}"#)), Some(RoomAction::Join));
}

#[test]
fn two_spellings_of_a_name_are_one_room_and_two_names_are_two() {
    // req I2
    let rooms = Rooms::new(boards(), RoomLimits::default());
    let alice = Actor::in_room(&rooms, &permit("user-alice", &[]), "board-caf\u{e9}");
    let mut bob = Actor::attach(&rooms, &permit("user-bob", &[]));
    bob.join("board-cafe\u{301}");
    assert_eq!(rooms.room_count(), 1);
    assert_eq!(alice.received()[0]["room"], "board-caf\u{e9}");
    for other in ["board-cafe", "board-caf%C3%A9", "board-caf\u{e9}.", "board-CAF\u{c9}"] {
        bob.join(other);
        bob.send(&format!(r#"{{"type":"publish","room":"{other}","data":0}}"#)).expect("may publish");
    }
    assert_eq!(rooms.room_count(), 5);
    assert_eq!(alice.received(), NOTHING);
}

#[test]
fn a_new_policy_ends_what_it_does_not_allow() {
    // req I3
    let rooms = Rooms::new(boards(), RoomLimits::default());
    let mut alice = Actor::attach(&rooms, &permit("user-alice", &["staff"]));
    let mut bob = Actor::attach(&rooms, &permit("user-bob", &[]));
    for actor in [&mut alice, &mut bob] {
        actor.join("board-1");
        actor.join("board-2");
    }
    alice.received();
    bob.received();

    rooms.set_policy(RoomPolicy::new(vec![
        rule("board-1", "role:staff", "role:staff", "role:staff"),
        open_rule("board-*", Presence::Full),
    ]));

    // Nobody has looked at Bob again yet, and he can do nothing by the old policy all the same.
    bob.send(r#"{"type":"publish","room":"board-1","data":0}"#).expect_err("no right any more");
    let told = bob.received();
    assert_eq!(told[0], json!({"type": "rooms_lost", "rooms": ["board-1"], "reason": "policy changed"}));
    assert_eq!(told[1]["code"], "not_joined");
    assert_eq!(
        alice.received(),
        [json!({"type": "user_left", "room": "board-1", "user": {"id": "user-bob", "name": "Bob"}, "viewers": 1})]
    );
    assert_eq!(bob.attendance.recheck(), [], "once is enough");
    assert_eq!(bob.received(), NOTHING);

    // He hears nothing more of it, and everything of the other.
    for name in ["board-1", "board-2"] {
        alice.send(&format!(r#"{{"type":"publish","room":"{name}","data":0}}"#)).expect("may publish");
    }
    let heard: Vec<_> = bob.received().iter().map(|frame| frame["room"].clone()).collect();
    assert_eq!(heard, ["board-2"]);
    assert_eq!(alice.attendance.recheck(), []);
    assert_eq!(forbidden(&bob.send(r#"{"type":"join","room":"board-1"}"#)), Some(RoomAction::Join));
}

#[test]
fn whoever_joins_another_room_is_looked_at_again() {
    // req I3
    let rooms = Rooms::new(boards(), RoomLimits::default());
    let mut alice = Actor::in_room(&rooms, &permit("user-alice", &[]), "board-1");
    rooms.set_policy(RoomPolicy::new(vec![open_rule("board-2", Presence::Off)]));
    alice.join("board-2");
    assert_eq!(
        alice.received(),
        [
            json!({"type": "rooms_lost", "rooms": ["board-1"], "reason": "policy changed"}),
            json!({"type": "joined", "room": "board-2"})
        ]
    );
    assert_eq!(rooms.room_count(), 1);
}

#[test]
fn a_listener_loses_its_room_when_it_is_looked_at_again() {
    // req I3
    let rooms = Rooms::new(boards(), RoomLimits::default());
    let mut alice = Actor::in_room(&rooms, &permit("user-alice", &[]), "board-1");
    rooms.set_policy(RoomPolicy::default());
    assert_eq!(alice.attendance.recheck(), [room("board-1")]);
    assert_eq!(alice.received(), [json!({"type": "rooms_lost", "rooms": ["board-1"], "reason": "policy changed"})]);
    assert_eq!(rooms.room_count(), 0);
}

#[test]
fn rights_within_a_room_follow_the_policy() {
    // req I3
    let rooms = Rooms::new(boards(), RoomLimits::default());
    let mut alice = Actor::in_room(&rooms, &permit("user-alice", &[]), "board-1");
    rooms.set_policy(RoomPolicy::new(vec![rule("board-*", "any", "", "any")]));
    let publish = r#"{"type":"publish","room":"board-1","data":0}"#;
    assert_eq!(forbidden(&alice.send(publish)), Some(RoomAction::Publish));
    alice.send(r#"{"type":"typing","room":"board-1"}"#).expect("may type");
    rooms.set_policy(boards());
    alice.send(publish).expect("may publish again");
}

#[test]
fn a_new_permit_is_judged_in_every_room() {
    // req H7, I3
    let policy = RoomPolicy::new(vec![
        rule("staff", "role:staff", "role:staff", "role:staff"),
        rule("news", "any", "role:staff", "any"),
    ]);
    let rooms = Rooms::new(policy, RoomLimits::default());
    let mut alice = Actor::attach(&rooms, &permit("user-alice", &["staff"]));
    let mut carol = Actor::attach(&rooms, &permit("user-carol", &["staff"]));
    for actor in [&mut alice, &mut carol] {
        actor.join("staff");
        actor.join("news");
    }
    alice.received();
    carol.received();

    assert_eq!(alice.attendance.renew(&permit("user-alice", &[])), [room("staff")]);
    assert_eq!(alice.received(), NOTHING, "the answer to the renewal tells her");
    assert_eq!(
        carol.received(),
        [json!({"type": "user_left", "room": "staff", "user": {"id": "user-alice", "name": "Alice"}, "viewers": 1})]
    );
    carol.send(r#"{"type":"publish","room":"staff","data":0}"#).expect("may publish");
    assert_eq!(alice.received(), NOTHING);
    assert_eq!(forbidden(&alice.send(r#"{"type":"publish","room":"news","data":0}"#)), Some(RoomAction::Publish));
    assert_eq!(forbidden(&alice.send(r#"{"type":"join","room":"staff"}"#)), Some(RoomAction::Join));

    assert_eq!(alice.attendance.renew(&permit("user-alice", &["staff"])), []);
    alice.send(r#"{"type":"publish","room":"news","data":0}"#).expect("may publish");
    alice.join("staff");
}

#[test]
fn one_tab_that_loses_a_room_leaves_the_other_tab_in_it() {
    let policy = RoomPolicy::new(vec![rule("staff", "role:staff", "role:staff", "role:staff")]);
    let rooms = Rooms::new(policy, RoomLimits::default());
    let mut first = Actor::in_room(&rooms, &permit("user-alice", &["staff"]), "staff");
    let second = Actor::in_room(&rooms, &permit("user-alice", &["staff"]), "staff");
    let carol = Actor::in_room(&rooms, &permit("user-carol", &["staff"]), "staff");
    second.received();
    assert_eq!(first.attendance.renew(&permit("user-alice", &[])), [room("staff")]);
    assert_eq!(carol.received(), NOTHING);
    assert_eq!(rooms.viewers(&room("staff")), 2);
}

#[test]
fn a_visitor_who_logs_in_becomes_somebody_else_for_the_others() {
    let policy = RoomPolicy::new(vec![rule("hall", "any,anonymous", "any", "any")]);
    let rooms = Rooms::new(policy, RoomLimits::default());
    let bob = Actor::in_room(&rooms, &permit("user-bob", &[]), "hall");
    let anonymous = visitor(ConnectionId::from_random([9; 16]), START);
    let visitor_id = anonymous.principal().id.to_string();
    let mut visitor = Actor::in_room(&rooms, &anonymous, "hall");
    bob.received();

    assert_eq!(visitor.attendance.renew(&permit("user-alice", &[])), []);
    let told = [
        json!({"type": "user_left", "room": "hall", "user": {"id": visitor_id, "name": "Anonymous"}, "viewers": 1}),
        json!({"type": "user_joined", "room": "hall", "user": {"id": "user-alice", "name": "Alice"}, "viewers": 2}),
    ];
    assert_eq!(bob.received(), told);
    assert_eq!(visitor.received(), told, "its own list of members changes too");
    drop(visitor);
    assert_eq!(
        bob.received(),
        [json!({"type": "user_left", "room": "hall", "user": {"id": "user-alice", "name": "Alice"}, "viewers": 1})]
    );
}

#[test]
fn a_new_name_is_shown_from_then_on() {
    let rooms = Rooms::new(boards(), RoomLimits::default());
    let mut alice = Actor::in_room(&rooms, &permit("user-alice", &[]), "board-1");
    assert_eq!(alice.attendance.renew(&named_permit("user-alice", "Alice B.", &[])), []);
    let mut bob = Actor::attach(&rooms, &permit("user-bob", &[]));
    bob.join("board-1");
    let members = bob.received()[0]["members"].clone();
    assert!(
        members.as_array().expect("a list").contains(&json!({"id": "user-alice", "name": "Alice B."})),
        "{members}"
    );
    alice.send(r#"{"type":"typing","room":"board-1"}"#).expect("may type");
    assert_eq!(bob.received()[0]["user"]["name"], "Alice B.");
}

#[test]
fn what_debug_shows_has_no_frames_in_it() {
    let rooms = Rooms::new(boards(), RoomLimits::default());
    let mut alice = Actor::in_room(&rooms, &permit("user-alice", &[]), "board-1");
    alice.send(r#"{"type":"publish","room":"board-1","data":"hush-hush"}"#).expect("may publish");
    let shown = format!("{:?} {rooms:?}", alice.attendance);
    assert!(shown.contains("board-1") && !shown.contains("hush-hush"), "{shown}");
}
