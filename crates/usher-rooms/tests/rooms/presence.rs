//! What members see of each other's coming and going: one by one, by number, or not at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use serde_json::{Value, json};
use usher_auth::room::{Presence, RoomPolicy};
use usher_rooms::{RoomLimits, Rooms};

use crate::support::{Actor, START, Views, boards, deadline, fold, open_rule, permit, room};

const NOTHING: [Value; 0] = [];
const SECOND: Duration = Duration::from_secs(1);

fn rooms_with(presence: Presence, members_listed: usize) -> Rooms {
    let limits = RoomLimits { members_listed, ..RoomLimits::default() };
    Rooms::new(RoomPolicy::new(vec![open_rule("board-*", presence)]), limits)
}

fn users(rooms: &Rooms, numbers: std::ops::Range<usize>) -> Vec<Actor> {
    numbers.map(|number| Actor::in_room(rooms, &permit(&format!("user-{number}"), &[]), "board-1")).collect()
}

#[test]
fn past_a_hundred_members_only_the_number_is_told_once_a_second() {
    let rooms = Rooms::new(boards(), RoomLimits::default());
    let first = Actor::in_room(&rooms, &permit("user-first", &[]), "board-1");
    let crowd = users(&rooms, 0..99);
    assert_eq!(first.received().len(), 99, "one by one up to a hundred");
    assert_eq!(deadline(&rooms), None);

    let mut more = users(&rooms, 100..150);
    assert_eq!(first.received(), NOTHING);
    assert_eq!(deadline(&rooms), Some(Duration::ZERO), "the first update is due at once");
    assert_eq!(rooms.flush(START), None);
    let update = [json!({"type": "viewers", "room": "board-1", "viewers": 150})];
    assert_eq!(first.received(), update);
    assert_eq!(crowd[98].received().last(), update.last());

    // Who joins is shown a hundred, and told how many there are.
    let mut late = Actor::attach(&rooms, &permit("user-late", &[]));
    late.join("board-1");
    let joined = &late.received()[0];
    assert_eq!(joined["viewers"], 151);
    assert_eq!(joined["members"].as_array().map(Vec::len), Some(100));

    // The next update waits for its second, and tells all changes together.
    more.truncate(10);
    let early = START.after(Duration::from_millis(999));
    assert_eq!(rooms.flush(early), Some(START.after(SECOND).monotonic));
    assert_eq!(first.received(), NOTHING);
    assert_eq!(rooms.flush(START.after(SECOND)), None);
    assert_eq!(first.received(), [json!({"type": "viewers", "room": "board-1", "viewers": 111})]);
}

#[test]
fn a_room_that_shrinks_brings_its_list_and_goes_on_one_by_one() {
    let rooms = rooms_with(Presence::Full, 3);
    let first = Actor::in_room(&rooms, &permit("user-first", &[]), "board-1");
    let mut others = users(&rooms, 1..5);
    let mut views = Views::new();
    fold(
        &mut views,
        &json!({"type": "joined", "room": "board-1", "viewers": 1, "members": [{"id": "user-first", "name": ""}]}),
    );
    rooms.flush(START);
    for frame in &first.received() {
        fold(&mut views, frame);
    }
    assert_eq!(views["board-1"].viewers, Some(5));
    assert_eq!(views["board-1"].members, None, "the list is out of date");

    others.truncate(2);
    assert_eq!(first.received(), NOTHING);
    rooms.flush(START.after(SECOND));
    let update = first.received();
    assert_eq!(update.len(), 1);
    assert_eq!(update[0]["type"], "viewers");
    for frame in &update {
        fold(&mut views, frame);
    }
    let expected = ["user-1", "user-2", "user-first"].map(String::from);
    assert_eq!(views["board-1"].members, Some(expected.into()));

    others.truncate(1);
    assert_eq!(
        first.received(),
        [json!({"type": "user_left", "room": "board-1", "user": {"id": "user-2", "name": "2"}, "viewers": 2})]
    );
    assert_eq!(deadline(&rooms), None);
}

#[test]
fn a_room_at_the_limit_sends_one_list_a_second_at_most() {
    let rooms = rooms_with(Presence::Full, 3);
    let _others = users(&rooms, 1..3);
    let first = Actor::in_room(&rooms, &permit("user-first", &[]), "board-1");
    let mut updates = 0;
    for step in 0..40 {
        // Four come and go within each second.
        drop(users(&rooms, 9..10));
        rooms.flush(START.after(step * SECOND / 4));
        updates += first.received().len();
    }
    assert_eq!(updates, 10);
}

#[test]
fn count_tells_the_number_alone() {
    let rooms = rooms_with(Presence::Count, 3);
    let mut first = Actor::attach(&rooms, &permit("user-first", &[]));
    first.join("board-1");
    assert_eq!(first.received(), [json!({"type": "joined", "room": "board-1", "viewers": 1})]);
    let mut others = users(&rooms, 1..3);
    drop(others.pop());
    let viewers = |number| json!({"type": "viewers", "room": "board-1", "viewers": number});
    assert_eq!(first.received(), [viewers(2), viewers(3), viewers(2)]);

    others.extend(users(&rooms, 3..6));
    assert_eq!(first.received(), [viewers(3)]);
    rooms.flush(START);
    assert_eq!(first.received(), [viewers(5)]);
    drop(others);
    rooms.flush(START.after(SECOND));
    assert_eq!(first.received(), [viewers(1)]);
    let _second = users(&rooms, 7..8);
    assert_eq!(first.received(), [viewers(2)], "small again, and at once again");
}

#[test]
fn off_tells_nothing() {
    let rooms = rooms_with(Presence::Off, 3);
    let mut first = Actor::attach(&rooms, &permit("user-first", &[]));
    first.join("board-1");
    assert_eq!(first.received(), [json!({"type": "joined", "room": "board-1"})]);
    let mut others = users(&rooms, 1..9);
    drop(others.split_off(1));
    assert_eq!(deadline(&rooms), None);
    rooms.flush(START);
    assert_eq!(first.received(), NOTHING);
    others[0].send(r#"{"type":"publish","room":"board-1","data":0}"#).expect("may publish");
    assert_eq!(first.received().len(), 1, "messages go on");
}

#[test]
fn a_policy_that_shows_more_shows_it_to_those_who_are_in() {
    // req I3
    let rooms = rooms_with(Presence::Off, 3);
    let mut first = Actor::in_room(&rooms, &permit("user-first", &[]), "board-1");
    let mut second = Actor::in_room(&rooms, &permit("user-second", &[]), "board-1");

    rooms.set_policy(RoomPolicy::new(vec![open_rule("board-*", Presence::Full)]));
    assert_eq!(first.attendance.recheck(), []);
    rooms.flush(START);
    let told = second.received();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["viewers"], 2);
    assert_eq!(told[0]["members"].as_array().map(Vec::len), Some(2));

    // And one that shows less is heeded by the next who comes, before anybody was looked at again.
    rooms.set_policy(RoomPolicy::new(vec![open_rule("board-*", Presence::Off)]));
    let mut third = Actor::attach(&rooms, &permit("user-third", &[]));
    third.join("board-1");
    assert_eq!(third.received(), [json!({"type": "joined", "room": "board-1"})]);
    assert_eq!(second.attendance.recheck(), []);
    rooms.flush(START.after(SECOND));
    first.received();
    assert_eq!(second.received(), NOTHING);
}

#[test]
fn an_update_that_is_owed_goes_with_its_room() {
    let rooms = rooms_with(Presence::Full, 3);
    let crowd = users(&rooms, 1..6);
    assert_eq!(deadline(&rooms), Some(Duration::ZERO));
    drop(crowd);
    assert_eq!(deadline(&rooms), None);
    // The next room of that name is another one.
    let first = Actor::in_room(&rooms, &permit("user-first", &[]), "board-1");
    assert_eq!(rooms.flush(START), None);
    assert_eq!(first.received(), NOTHING);
    assert_eq!(rooms.viewers(&room("board-1")), 1);
}

#[test]
fn whoever_waits_for_the_deadline_is_woken_by_an_earlier_one() {
    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let count = Arc::new(Count(AtomicUsize::new(0)));
    let waker = Waker::from(count.clone());
    let mut context = Context::from_waker(&waker);
    let rooms = rooms_with(Presence::Full, 3);
    assert_eq!(rooms.poll_deadline(&mut context), Poll::Pending);

    let mut crowd = users(&rooms, 1..5);
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    assert_eq!(rooms.poll_deadline(&mut context), Poll::Ready(Duration::ZERO));
    rooms.flush(START);
    assert_eq!(rooms.poll_deadline(&mut context), Poll::Pending);

    // The room's next update is a second away; that of another room is due before.
    crowd.pop();
    assert_eq!(count.0.load(Ordering::Relaxed), 2);
    assert_eq!(rooms.poll_deadline(&mut context), Poll::Ready(START.after(SECOND).monotonic));
    let _others: Vec<_> =
        (1..5).map(|number| Actor::in_room(&rooms, &permit(&format!("user-{number}"), &[]), "board-2")).collect();
    assert_eq!(count.0.load(Ordering::Relaxed), 3);
    assert_eq!(rooms.poll_deadline(&mut context), Poll::Ready(Duration::ZERO));
}
