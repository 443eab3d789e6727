//! What fan-out costs in allocations: nothing for each receiver (design: a frame is encoded once and shared).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::value::RawValue;
use usher_auth::ids::ConnectionId;
use usher_auth::room::{OnForbidden, Presence, Right, RoomName, RoomPattern, RoomPolicy, RoomRule};
use usher_auth::test_util::visitor;
use usher_auth::wire::Frame;
use usher_auth::{Now, UnixTime};
use usher_rooms::{Attendance, Receiver, RoomLimits, Rooms};

const START: Now = Now { monotonic: Duration::ZERO, unix: UnixTime::from_seconds(1_760_000_000) };

/// Keeps the last frame, in place.
#[derive(Default)]
struct Last {
    frame: parking_lot::Mutex<Option<Frame>>,
    count: AtomicUsize,
}

impl Receiver for Last {
    fn deliver(&self, frame: &Frame) {
        *self.frame.lock() = Some(frame.clone());
        self.count.fetch_add(1, Ordering::Relaxed);
    }
}

fn everybody_may() -> RoomPolicy {
    let right = vec![Right::Anonymous];
    RoomPolicy::new(vec![RoomRule {
        pattern: RoomPattern::parse("board-*").expect("a pattern"),
        join: right.clone(),
        publish: right.clone(),
        typing: right,
        presence: Presence::Full,
        on_forbidden: OnForbidden::Error,
    }])
}

/// A room of `size` users.
fn crowd(rooms: &Rooms, board: &RoomName, receiver: &Arc<Last>, size: u64) -> Vec<Attendance> {
    (0..size)
        .map(|number| {
            let connection = ConnectionId::from_random(u128::from(number).to_be_bytes());
            let mut attendance = rooms.attach(&visitor(connection, START), connection, receiver.clone());
            attendance.join(board, None).expect("may join");
            attendance
        })
        .collect()
}

/// How often memory is allocated while one connection of `size` publishes and types, and everybody else hears it.
fn allocations(size: u64) -> [u64; 2] {
    let rooms = Rooms::new(everybody_may(), RoomLimits::default());
    let board = RoomName::canonical("board-1").expect("a name");
    let receiver = Arc::new(Last::default());
    let mut crowd = crowd(&rooms, &board, &receiver, size);
    let data = RawValue::from_string(r#"{"x":1,"y":"two"}"#.to_owned()).expect("JSON");
    let sender = crowd.first_mut().expect("somebody");
    let before = receiver.count.load(Ordering::Relaxed);
    let publish = allocation_counter::measure(|| sender.publish(&board, &data, None).expect("may publish"));
    let typing = allocation_counter::measure(|| sender.typing(&board).expect("may type"));
    let heard = receiver.count.load(Ordering::Relaxed) - before;
    assert_eq!(heard as u64, 2 * (size - 1), "everybody else heard both");
    [publish.count_total, typing.count_total]
}

/// How often memory is allocated while an update goes to a room of `size`.
fn allocations_of_an_update(size: u64) -> u64 {
    let rooms = Rooms::new(everybody_may(), RoomLimits::default());
    let board = RoomName::canonical("board-1").expect("a name");
    let receiver = Arc::new(Last::default());
    let crowd = crowd(&rooms, &board, &receiver, size);
    let before = receiver.count.load(Ordering::Relaxed);
    let update = allocation_counter::measure(|| {
        rooms.flush(START);
    });
    assert_eq!(receiver.count.load(Ordering::Relaxed) - before, crowd.len(), "everybody heard it");
    update.count_total
}

#[test]
fn a_message_costs_as_many_allocations_for_a_thousand_as_for_ten() {
    let (few, many) = (allocations(10), allocations(1000));
    assert_eq!(few, many);
    assert!((1..=5).contains(&few[0]), "one frame and what it is built in: {few:?}");
    assert_eq!(allocations_of_an_update(200), allocations_of_an_update(1000));
}

#[test]
fn a_connection_in_a_room_costs_little_memory() {
    // design: 4 KiB for a connection in a room, and this is the part of it that is spent here.
    let rooms = Rooms::new(everybody_may(), RoomLimits::default());
    let board = RoomName::canonical("board-1").expect("a name");
    let receiver = Arc::new(Last::default());
    let size = 1000_u32;
    let mut attendances = Vec::with_capacity(size as usize);
    let permits: Vec<_> = (0..size)
        .map(|number| ConnectionId::from_random(u128::from(number).to_be_bytes()))
        .map(|connection| (connection, visitor(connection, START)))
        .collect();
    let shared_room = allocation_counter::measure(|| {
        for (connection, permit) in &permits {
            let mut attendance = rooms.attach(permit, *connection, receiver.clone());
            attendance.join(&board, None).expect("may join");
            attendances.push(attendance);
        }
    });
    attendances.clear();
    let own_rooms = allocation_counter::measure(|| {
        for (connection, permit) in &permits {
            let mut attendance = rooms.attach(permit, *connection, receiver.clone());
            let own = RoomName::canonical(&format!("board-{connection}")).expect("a name");
            attendance.join(&own, None).expect("may join");
            attendances.push(attendance);
        }
    });
    let [in_one, in_own] = [shared_room, own_rooms].map(|measured| measured.bytes_current / i64::from(size));
    assert!((1..512).contains(&in_one), "{in_one} bytes a connection in a room of {size}");
    assert!((1..1536).contains(&in_own), "{in_own} bytes a connection in a room of its own");
}

#[test]
fn a_frame_is_one_for_all() {
    let rooms = Rooms::new(everybody_may(), RoomLimits::default());
    let board = RoomName::canonical("board-1").expect("a name");
    let mut attendances = Vec::new();
    let receivers: Vec<Arc<Last>> = (0..3_u8)
        .map(|number| {
            let (receiver, connection) = (Arc::new(Last::default()), ConnectionId::from_random([number; 16]));
            let mut attendance = rooms.attach(&visitor(connection, START), connection, receiver.clone());
            attendance.join(&board, None).expect("may join");
            attendances.push(attendance);
            receiver
        })
        .collect();
    attendances[0].publish(&board, RawValue::NULL, None).expect("may publish");
    let addresses: Vec<_> =
        receivers[1..].iter().map(|receiver| receiver.frame.lock().as_ref().expect("heard").text().as_ptr()).collect();
    assert_eq!(addresses[0], addresses[1]);
}
