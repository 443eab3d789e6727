//! Scenario S7: Alice and Bob meet in a room. The shapes are the contract's.

use serde_json::{Value, json};
use usher_auth::close_code::CloseCause;
use usher_auth::room::{OnForbidden, RoomAction, RoomName, RoomPolicy};
use usher_rooms::{RoomError, RoomLimits, Rooms};

use crate::support::{Actor, boards, deadline, permit, room, rule};

fn boards_rooms() -> Rooms {
    Rooms::new(boards(), RoomLimits::default())
}

fn sorted_members(mut frame: Value) -> Value {
    if let Some(members) = frame["members"].as_array_mut() {
        members.sort_by_key(|member| member["id"].to_string());
    }
    frame
}

#[test]
fn s7_alice_and_bob_meet_in_a_room() {
    let rooms = boards_rooms();
    let mut alice = Actor::attach(&rooms, &permit("user-alice", &[]));
    let mut bob = Actor::attach(&rooms, &permit("user-bob", &[]));

    alice.send(r#"{"type":"join","room":"board-1","id":"a1"}"#).expect("may join");
    assert_eq!(
        alice.received(),
        [
            json!({"type": "joined", "room": "board-1", "viewers": 1, "members": [{"id": "user-alice", "name": "Alice"}], "id": "a1"})
        ]
    );

    bob.send(r#"{"type":"join","room":"board-1"}"#).expect("may join");
    assert_eq!(
        alice.received(),
        [json!({"type": "user_joined", "room": "board-1", "user": {"id": "user-bob", "name": "Bob"}, "viewers": 2})]
    );
    assert_eq!(
        bob.received().into_iter().map(sorted_members).collect::<Vec<_>>(),
        [json!({"type": "joined", "room": "board-1", "viewers": 2,
                "members": [{"id": "user-alice", "name": "Alice"}, {"id": "user-bob", "name": "Bob"}]})]
    );

    alice.send(r#"{"type":"typing","boardId":"board-1"}"#).expect("may type");
    assert_eq!(
        bob.received(),
        [json!({"type": "user_typing", "room": "board-1", "user": {"id": "user-alice", "name": "Alice"}})]
    );
    assert_eq!(alice.received(), [] as [Value; 0]);

    alice.send(r#"{"type":"publish","room":"board-1","data":{"x":[1, 2.50]},"id":7}"#).expect("may publish");
    assert_eq!(
        bob.received(),
        [
            json!({"type": "message", "room": "board-1", "user": {"id": "user-alice", "name": "Alice"}, "data": {"x": [1, 2.5]}})
        ]
    );
    assert_eq!(alice.received(), [json!({"type": "published", "id": 7})]);

    bob.send(r#"{"type":"leave","room":"board-1","id":"b9"}"#).expect("was in");
    assert_eq!(bob.received(), [json!({"type": "left", "room": "board-1", "id": "b9"})]);
    assert_eq!(
        alice.received(),
        [json!({"type": "user_left", "room": "board-1", "user": {"id": "user-bob", "name": "Bob"}, "viewers": 1})]
    );
}

#[test]
fn s7_published_data_goes_on_as_it_came() {
    let rooms = boards_rooms();
    let mut alice = Actor::in_room(&rooms, &permit("user-alice", &[]), "board-1");
    let bob = Actor::in_room(&rooms, &permit("user-bob", &[]), "board-1");
    alice.received();
    let data = r#"{"n":1.0000000000000000001,"n":2, "t":"\u00e9"}"#;
    alice.send(&format!(r#"{{"type":"publish","room":"board-1","data":{data}}}"#)).expect("may publish");
    let frames = bob.inbox().frames();
    assert_eq!(frames.len(), 1);
    assert!(frames[0].text().ends_with(&format!(r#""data":{data}}}"#)), "{}", frames[0].text());
    assert_eq!(alice.received(), [] as [Value; 0], "without an id nothing is answered");
}

#[test]
fn s7_closing_a_tab_leaves_all_rooms() {
    let rooms = boards_rooms();
    let alice = ["board-1", "board-2"].map(|name| Actor::in_room(&rooms, &permit("user-alice", &[]), name));
    let mut bob = Actor::attach(&rooms, &permit("user-bob", &[]));
    for name in ["board-1", "board-2", "board-3"] {
        bob.join(name);
    }
    for alice in &alice {
        alice.received();
    }
    assert_eq!(rooms.room_count(), 3);
    let (inbox, unread) = (std::sync::Arc::downgrade(&bob.inbox()), bob.received().len());
    assert_eq!(unread, 3);

    drop(bob);

    for (alice, name) in alice.iter().zip(["board-1", "board-2"]) {
        assert_eq!(
            alice.received(),
            [json!({"type": "user_left", "room": name, "user": {"id": "user-bob", "name": "Bob"}, "viewers": 1})]
        );
    }
    assert!(inbox.upgrade().is_none(), "no room holds a connection that is gone");
    // A room goes with its last member.
    assert_eq!(rooms.room_count(), 2);
    drop(alice);
    assert_eq!(rooms.room_count(), 0);
    assert_eq!(rooms.viewers(&room("board-1")), 0);
    assert_eq!(deadline(&rooms), None);
}

#[test]
fn s7_viewers_are_users_and_not_sockets() {
    let rooms = boards_rooms();
    let mut alice = Actor::in_room(&rooms, &permit("user-alice", &[]), "board-1");
    let bob = Actor::in_room(&rooms, &permit("user-bob", &[]), "board-1");
    alice.received();

    let mut second_tab = Actor::attach(&rooms, &permit("user-alice", &[]));
    second_tab.join("board-1");
    assert_eq!(second_tab.received()[0]["viewers"], 2);
    assert_eq!(bob.received(), [] as [Value; 0]);
    assert_eq!(alice.received(), [] as [Value; 0]);

    // What one tab publishes the other shows; that one types concerns the others alone.
    alice.send(r#"{"type":"publish","room":"board-1","data":1}"#).expect("may publish");
    assert_eq!(second_tab.received().len(), 1);
    assert_eq!(bob.received().len(), 1);
    alice.send(r#"{"type":"typing","room":"board-1"}"#).expect("may type");
    assert_eq!(second_tab.received(), [] as [Value; 0]);
    assert_eq!(bob.received().len(), 1);

    // Either tab may go first.
    drop(alice);
    assert_eq!(bob.received(), [] as [Value; 0]);
    assert_eq!(rooms.viewers(&room("board-1")), 2);
    drop(second_tab);
    assert_eq!(
        bob.received(),
        [json!({"type": "user_left", "room": "board-1", "user": {"id": "user-alice", "name": "Alice"}, "viewers": 1})]
    );
}

#[test]
fn s7_joining_twice_answers_again_and_announces_nothing() {
    let rooms = boards_rooms();
    let mut alice = Actor::in_room(&rooms, &permit("user-alice", &[]), "board-1");
    let bob = Actor::in_room(&rooms, &permit("user-bob", &[]), "board-1");
    alice.received();
    alice.join("board-1");
    let again: Vec<_> = alice.received().into_iter().map(sorted_members).collect();
    assert_eq!(again.len(), 1);
    assert_eq!(again[0]["type"], "joined");
    assert_eq!(again[0]["viewers"], 2);
    assert_eq!(bob.received(), [] as [Value; 0]);
    alice.leave("board-1");
    assert_eq!(rooms.viewers(&room("board-1")), 1);
}

#[test]
fn s7_a_room_without_the_right_is_forbidden_and_4003_where_the_rule_says_so() {
    // req I1
    let mut closing = rule("vault-*", "role:admin", "role:admin", "role:admin");
    closing.on_forbidden = OnForbidden::Close;
    let rules = vec![rule("staff-*", "role:staff", "role:staff", "role:staff"), closing];
    let rooms = Rooms::new(RoomPolicy::new(rules), RoomLimits::default());
    let mut alice = Actor::attach(&rooms, &permit("user-alice", &["user"]));

    let error = alice.send(r#"{"type":"join","room":"staff-1","id":"q"}"#).expect_err("no right");
    assert_eq!(
        alice.received(),
        [json!({"type": "error", "error": "Forbidden", "code": "forbidden", "room": "staff-1", "id": "q"})]
    );
    assert_eq!(error.close_cause(), None);
    assert_eq!(error.to_string(), "no right to join staff-1");

    let error = alice.send(r#"{"type":"join","room":"vault-1"}"#).expect_err("no right");
    assert_eq!(
        alice.received(),
        [json!({"type": "error", "error": "Forbidden", "code": "forbidden", "room": "vault-1"})]
    );
    assert_eq!(error.close_cause(), Some(CloseCause::Forbidden));
    let expected =
        RoomError::Forbidden { room: room("vault-1"), action: RoomAction::Join, on_forbidden: OnForbidden::Close };
    assert_eq!(error, expected);
    assert_eq!(rooms.room_count(), 0);
}

#[test]
fn s7_a_room_that_was_not_joined_is_neither_left_nor_written_to() {
    let rooms = boards_rooms();
    let mut alice = Actor::attach(&rooms, &permit("user-alice", &[]));
    let bob = Actor::in_room(&rooms, &permit("user-bob", &[]), "board-1");
    for kind in ["leave", "typing", "publish"] {
        let frame = format!(r#"{{"type":"{kind}","room":"board-1","data":1,"id":3}}"#);
        let error = alice.send(&frame).expect_err("not joined");
        assert_eq!(error, RoomError::NotJoined { room: room("board-1") });
        assert_eq!(error.close_cause(), None);
        assert_eq!(
            alice.received(),
            [json!({"type": "error", "error": "Not joined", "code": "not_joined", "hint": "join the room first",
                    "room": "board-1", "id": 3})]
        );
    }
    assert_eq!(bob.received(), [] as [Value; 0]);
}

#[test]
fn s7_a_connection_is_in_so_many_rooms_and_no_more() {
    let limits = RoomLimits { rooms_per_connection: 2, ..RoomLimits::default() };
    let rooms = Rooms::new(boards(), limits);
    let mut alice = Actor::attach(&rooms, &permit("user-alice", &[]));
    alice.join("board-1");
    alice.join("board-2");
    alice.received();
    let error = alice.send(r#"{"type":"join","room":"board-3"}"#).expect_err("one too many");
    assert_eq!(
        alice.received(),
        [
            json!({"type": "error", "error": "Too many rooms", "code": "too_many_rooms", "hint": "leave another room first",
                "room": "board-3"})
        ]
    );
    assert_eq!(error.close_cause(), None);
    assert_eq!(rooms.room_count(), 2);
    // A room one is in already is not one more.
    alice.join("board-2");
    alice.leave("board-1");
    alice.join("board-3");
    assert_eq!(alice.attendance.rooms().map(RoomName::as_str).collect::<Vec<_>>(), ["board-2", "board-3"]);
}
