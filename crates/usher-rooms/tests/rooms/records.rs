//! What a bus writes for other nodes, read back.

use proptest::prelude::*;
use serde_json::Value;
use usher_auth::ids::{ConnectionId, UserId};
use usher_auth::record::RecordError;
use usher_auth::wire::Frame;
use usher_rooms::record::{NotJson, event_from_json, event_to_json, members_from_json, members_to_json};
use usher_rooms::{Except, Member, RoomEvent};

fn user() -> impl Strategy<Value = UserId> {
    "[a-zäß:@.]{1,20}".prop_map(|text| UserId::new(text).expect("an id"))
}

fn member() -> impl Strategy<Value = Member> {
    (user(), ".{0,20}").prop_map(|(id, name)| Member { id, name: name.into() })
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(".{0,9}", inner, 0..4).prop_map(Value::from_iter),
        ]
    })
}

fn except() -> impl Strategy<Value = Except> {
    prop_oneof![
        Just(Except::Nobody),
        any::<[u8; 16]>().prop_map(|bytes| Except::Connection(ConnectionId::from_random(bytes))),
        user().prop_map(Except::User),
    ]
}

fn event() -> impl Strategy<Value = RoomEvent> {
    prop_oneof![
        (json(), except()).prop_map(|(said, except)| RoomEvent::Said { frame: Frame::json(&said), except }),
        member().prop_map(RoomEvent::Arrived),
        user().prop_map(RoomEvent::Departed),
    ]
}

proptest! {
    #[test]
    fn an_event_is_read_back(event in event()) {
        let text = event_to_json(&event).expect("JSON");
        let read = event_from_json(&text).expect("what was written");
        // A frame is compared by the bytes that its receivers get.
        prop_assert_eq!(read, event);
    }

    #[test]
    fn members_are_read_back(members in prop::collection::vec(member(), 0..5)) {
        prop_assert_eq!(members_from_json(&members_to_json(&members)), Ok(members));
    }
}

#[test]
fn a_published_frame_keeps_its_bytes() {
    // A client's own spelling of a number, and its spaces, reach the members of every node alike.
    let text = r#"{"type":"message","data":{ "x" : 1.0e+3, "y":"\u0041" }}"#;
    let raw: Box<serde_json::value::RawValue> = serde_json::from_str(text).expect("JSON");
    let event = RoomEvent::Said { frame: Frame::json(&raw), except: Except::Nobody };
    let RoomEvent::Said { frame, .. } = event_from_json(&event_to_json(&event).expect("JSON")).expect("read") else {
        panic!("another event")
    };
    assert_eq!(frame.text(), text);
}

#[test]
fn what_another_version_wrote_is_refused_as_such() {
    let version_2 = r#"{"v":2,"body":{"whispered":{}}}"#;
    assert_eq!(event_from_json(version_2), Err(RecordError::Version { found: 2, known: 1 }));
    assert_eq!(members_from_json(version_2), Err(RecordError::Version { found: 2, known: 1 }));
}

#[test]
fn what_is_not_an_event_is_refused() {
    for text in [
        "",
        "{}",
        r#"{"v":1}"#,
        r#"{"v":1,"body":{"whispered":{}}}"#,
        r#"{"v":1,"body":{"departed":{"user":"a b"}}}"#,
        r#"{"v":1,"body":{"departed":{"user":"a","since":1}}}"#,
        r#"{"v":1,"body":{"arrived":{"member":{"id":"","name":"A"}}}}"#,
        r#"{"v":1,"body":{"said":{"frame":{},"except":{"connection":"short"}}}}"#,
        r#"{"v":1,"body":{"said":{"frame":{,"except":"none"}}}"#,
    ] {
        assert!(matches!(event_from_json(text), Err(RecordError::Malformed { .. })), "{text}");
    }
    let control = RoomEvent::Said { frame: Frame::ready(&[0x8a, 0]), except: Except::Nobody };
    assert_eq!(event_to_json(&control), Err(NotJson));
}
