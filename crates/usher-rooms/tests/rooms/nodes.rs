//! Two nodes and a bus between them: what a shared bus must be able to build on.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};
use usher_auth::room::{Presence, RoomName, RoomPolicy};
use usher_rooms::{Bus, LocalDelivery, LocalMember, Member, NodeId, RoomEvent, RoomLimits, Rooms, record};

use crate::support::{Actor, START, Views, boards, fold, open_rule, permit, room};

const NOTHING: [Value; 0] = [];

/// What a bus was told, not delivered yet.
#[derive(Clone, Debug, PartialEq)]
enum Told {
    Opened,
    Closed,
    Event(RoomEvent),
}

/// Remembers what it is told, as a bus must that may not block.
#[derive(Default)]
struct QueueBus(Mutex<VecDeque<(RoomName, Told)>>);

impl Bus for QueueBus {
    fn opened(&self, room: &RoomName) {
        self.0.lock().push_back((room.clone(), Told::Opened));
    }

    fn closed(&self, room: &RoomName) {
        self.0.lock().push_back((room.clone(), Told::Closed));
    }

    fn publish(&self, room: &RoomName, event: &RoomEvent) {
        self.0.lock().push_back((room.clone(), Told::Event(event.clone())));
    }
}

struct Node {
    id: NodeId,
    rooms: Rooms,
    bus: Arc<QueueBus>,
    delivery: LocalDelivery,
}

struct Cluster([Node; 2]);

impl Node {
    fn new(number: u8, policy: RoomPolicy) -> Self {
        let bus = Arc::<QueueBus>::default();
        let limits = RoomLimits { members_listed: 5, ..RoomLimits::default() };
        let mut delivery = None;
        let rooms = Rooms::with_bus(policy, limits, |given| {
            delivery = Some(given);
            bus.clone()
        });
        let delivery = delivery.expect("the bus was made");
        Self { id: NodeId::from_random([number; 16]), rooms, bus, delivery }
    }

    fn take(&self) -> VecDeque<(RoomName, Told)> {
        std::mem::take(&mut *self.bus.0.lock())
    }
}

impl Cluster {
    fn new(policy: &RoomPolicy) -> Self {
        Self([1, 2].map(|number| Node::new(number, policy.clone())))
    }

    /// Delivers everything that was told.
    fn pump(&mut self) {
        for (from, to) in [(0, 1), (1, 0)] {
            for (room, told) in self.0[from].take() {
                match told {
                    Told::Opened => {
                        // The other node is asked for its members; the bus mirrors nothing.
                        let there = self.0[to].delivery.read_members(&room, |members| {
                            members.iter().map(|local| local.member.clone()).collect::<Vec<_>>()
                        });
                        let text = record::members_to_json(&there.unwrap_or_default());
                        let there = record::members_from_json(&text).expect("what was written");
                        self.0[from].delivery.present(self.0[to].id, &room, &there);
                    }
                    Told::Closed => {}
                    Told::Event(event) => {
                        let event = record::event_to_json(&event).expect("rooms say JSON");
                        let event = record::event_from_json(&event).expect("what was written");
                        self.0[to].delivery.deliver(self.0[from].id, &room, &event);
                    }
                }
            }
        }
        for node in &self.0 {
            node.rooms.flush(START);
        }
    }

    fn join(&mut self, node: usize, user: &str) -> Actor {
        let actor = Actor::in_room(&self.0[node].rooms, &permit(user, &[]), "board-1");
        self.pump();
        actor
    }

    fn viewers(&self) -> [usize; 2] {
        [0, 1].map(|node| self.0[node].rooms.viewers(&room("board-1")))
    }
}

fn types(actor: &Actor) -> Vec<Value> {
    actor.received().iter().map(|frame| frame["type"].clone()).collect()
}

#[test]
fn what_is_said_on_one_node_is_heard_on_the_other() {
    let mut cluster = Cluster::new(&boards());
    let mut alice = cluster.join(0, "user-alice");
    let alices_other_tab = cluster.join(1, "user-alice");
    let bob = cluster.join(1, "user-bob");
    for actor in [&alice, &alices_other_tab, &bob] {
        actor.received();
    }
    alice.send(r#"{"type":"publish","room":"board-1","data":{"x":1}}"#).expect("may publish");
    alice.send(r#"{"type":"typing","room":"board-1"}"#).expect("may type");
    cluster.pump();
    let user = json!({"id": "user-alice", "name": "Alice"});
    let message = json!({"type": "message", "room": "board-1", "user": user, "data": {"x": 1}});
    let typing = json!({"type": "user_typing", "room": "board-1", "user": user});
    assert_eq!(bob.received(), [message.clone(), typing]);
    assert_eq!(alices_other_tab.received(), [message]);
    assert_eq!(alice.received(), NOTHING);
}

#[test]
fn a_user_on_two_nodes_is_one_viewer() {
    let mut cluster = Cluster::new(&boards());
    let bob = cluster.join(0, "user-bob");
    let alice = cluster.join(0, "user-alice");
    assert_eq!(types(&bob), ["user_joined"]);
    let alices_other_tab = cluster.join(1, "user-alice");
    assert_eq!(cluster.viewers(), [2, 2]);
    assert_eq!(bob.received(), NOTHING);

    drop(alice);
    cluster.pump();
    assert_eq!(bob.received(), NOTHING);
    assert_eq!(cluster.viewers(), [2, 2]);
    drop(alices_other_tab);
    cluster.pump();
    assert_eq!(
        bob.received(),
        [json!({"type": "user_left", "room": "board-1", "user": {"id": "user-alice", "name": "Alice"}, "viewers": 1})]
    );
    assert_eq!(cluster.viewers(), [1, 0], "a node that nobody is on has no room");
}

#[test]
fn who_opens_a_room_learns_who_is_in_it_elsewhere() {
    let mut cluster = Cluster::new(&boards());
    let _alice = cluster.join(0, "user-alice");
    let _bob = cluster.join(0, "user-bob");
    let mut carol = Actor::attach(&cluster.0[1].rooms, &permit("user-carol", &[]));
    carol.join("board-1");
    cluster.pump();
    let mut views = Views::new();
    for frame in &carol.received() {
        fold(&mut views, frame);
    }
    assert_eq!(views["board-1"].viewers, Some(3));
    let everybody = ["user-alice", "user-bob", "user-carol"].map(String::from);
    assert_eq!(views["board-1"].members, Some(everybody.into()));
}

#[test]
fn what_is_told_twice_is_told_once_and_what_was_lost_is_set_right() {
    let mut cluster = Cluster::new(&boards());
    let bob = cluster.join(0, "user-bob");
    let (delivery, other) = (cluster.0[0].delivery.clone(), cluster.0[1].id);
    let [alice, carol, dave] =
        ["user-alice", "user-carol", "user-dave"].map(|id| Member::from(permit(id, &[]).principal()));
    let board = room("board-1");
    bob.received();
    for _ in 0..2 {
        delivery.deliver(other, &board, &RoomEvent::Arrived(alice.clone()));
    }
    assert_eq!(types(&bob), ["user_joined"]);
    delivery.deliver(other, &board, &RoomEvent::Departed(carol.id.clone()));
    assert_eq!(bob.received(), NOTHING, "she was not there");

    // Alice's departure and the arrival of two were lost.
    for _ in 0..2 {
        delivery.present(other, &board, &[carol.clone(), dave.clone()]);
    }
    cluster.pump();
    let told = bob.received();
    assert_eq!(told.len(), 1);
    assert_eq!((&told[0]["type"], &told[0]["viewers"]), (&json!("viewers"), &json!(3)));
    assert_eq!(told[0]["members"].as_array().map(Vec::len), Some(3));
    delivery.present(other, &board, &[dave, carol]);
    assert_eq!(cluster.0[0].rooms.flush(START), None, "nothing changed");
}

#[test]
fn whoever_was_on_a_lost_node_is_gone() {
    let mut cluster = Cluster::new(&boards());
    let bob = cluster.join(0, "user-bob");
    let _bobs_other_tab = cluster.join(1, "user-bob");
    let _alice = cluster.join(1, "user-alice");
    assert_eq!(cluster.viewers(), [2, 2]);
    bob.received();
    cluster.0[0].delivery.node_lost(cluster.0[1].id);
    assert_eq!(cluster.viewers()[0], 1);
    cluster.0[0].rooms.flush(START.after(RoomLimits::DEFAULT_UPDATE_INTERVAL));
    assert_eq!(
        bob.received(),
        [json!({"type": "viewers", "room": "board-1", "viewers": 1, "members": [{"id": "user-bob", "name": "Bob"}]})]
    );
}

#[test]
fn the_bus_is_told_in_order_and_each_user_once() {
    let cluster = Cluster::new(&RoomPolicy::new(vec![open_rule("board-*", Presence::Off)]));
    let node = &cluster.0[0];
    let [alice_permit, bob_permit] = ["user-alice", "user-bob"].map(|id| permit(id, &[]));
    let mut alice = Actor::in_room(&node.rooms, &alice_permit, "board-1");
    let second = Actor::in_room(&node.rooms, &alice_permit, "board-1");
    alice.send(r#"{"type":"typing","room":"board-1"}"#).expect("may type");
    let bob = Actor::in_room(&node.rooms, &bob_permit, "board-1");
    drop(alice);
    drop(bob);
    drop(second);
    let told: Vec<_> = node.take().into_iter().map(|(_, told)| told).collect();
    let [alice, bob] = [alice_permit, bob_permit].map(|permit| Member::from(permit.principal()));
    assert_eq!(told.len(), 7, "{told:?}");
    assert_eq!(told[..2], [Told::Opened, Told::Event(RoomEvent::Arrived(alice.clone()))]);
    assert!(matches!(told[2], Told::Event(RoomEvent::Said { .. })));
    assert_eq!(
        told[3..],
        [
            Told::Event(RoomEvent::Arrived(bob.clone())),
            Told::Event(RoomEvent::Departed(bob.id)),
            Told::Event(RoomEvent::Departed(alice.id)),
            Told::Closed
        ]
    );
}

#[test]
fn a_bus_that_outlives_the_rooms_delivers_nothing() {
    let Node { rooms, delivery, .. } = Node::new(1, boards());
    let alice = Actor::in_room(&rooms, &permit("user-alice", &[]), "board-1");
    let inbox = alice.inbox();
    let event = RoomEvent::Arrived(Member::from(permit("user-bob", &[]).principal()));
    delivery.deliver(NodeId::from_random([2; 16]), &room("board-2"), &event);
    assert_eq!(rooms.room_count(), 1, "what happens elsewhere opens no room here");
    drop((alice, rooms));
    delivery.deliver(NodeId::from_random([2; 16]), &room("board-1"), &event);
    assert_eq!(inbox.frames(), []);
    assert_eq!(delivery.read_members(&room("board-1"), <[_]>::len), None);
    assert_eq!(delivery.open_rooms(), []);
    assert_eq!(format!("{delivery:?}"), "LocalDelivery(…)");
}

#[test]
fn a_bus_may_be_told_before_its_rooms_exist() {
    // A bus that is connected hears other nodes while its own rooms are still being made.
    let rooms = Rooms::with_bus(boards(), RoomLimits::default(), |delivery| {
        let bob = Member::from(permit("user-bob", &[]).principal());
        delivery.deliver(NodeId::from_random([2; 16]), &room("board-1"), &RoomEvent::Arrived(bob));
        delivery.node_lost(NodeId::from_random([2; 16]));
        assert_eq!(delivery.open_rooms(), []);
        Arc::<QueueBus>::default()
    });
    assert_eq!((rooms.room_count(), rooms.viewers(&room("board-1"))), (0, 0));
}

#[test]
fn a_bus_asks_for_the_members_of_this_node() {
    let mut cluster = Cluster::new(&boards());
    let alice = cluster.join(0, "user-alice");
    let second = cluster.join(0, "user-alice");
    let bob = cluster.join(0, "user-bob");
    let _carol = cluster.join(1, "user-carol");
    let board = room("board-1");
    let local = |node: &Node| {
        let mut members = node.rooms.local_members(&board);
        members.sort_by_key(|local| local.member.id.clone());
        assert_eq!(node.delivery.read_members(&board, <[_]>::len), Some(members.len()));
        members
    };
    let entry = |id: &str, connections| LocalMember { member: Member::from(permit(id, &[]).principal()), connections };
    assert_eq!(local(&cluster.0[0]), [entry("user-alice", 2), entry("user-bob", 1)], "not Carol, who is elsewhere");
    assert_eq!(local(&cluster.0[1]), [entry("user-carol", 1)]);
    assert_eq!(cluster.0[0].delivery.open_rooms(), std::slice::from_ref(&board));

    drop(second);
    assert_eq!(local(&cluster.0[0]), [entry("user-alice", 1), entry("user-bob", 1)]);
    drop(alice);
    assert_eq!(local(&cluster.0[0]), [entry("user-bob", 1)]);
    drop(bob);
    assert_eq!(cluster.0[0].rooms.local_members(&board), []);
    assert_eq!(cluster.0[0].delivery.read_members(&board, |_| ()), None, "no connection of this node is in it");
    assert_eq!(cluster.0[0].delivery.open_rooms(), []);
}

#[test]
fn a_list_of_members_has_its_place_among_the_events() {
    // What the list includes was queued before it, what comes later is queued behind it.
    let node = Node::new(1, boards());
    let _alice = Actor::in_room(&node.rooms, &permit("user-alice", &[]), "board-1");
    let bus = node.bus.clone();
    node.delivery.read_members(&room("board-1"), |members| {
        let listed = RoomEvent::Arrived(members[0].member.clone());
        bus.0.lock().push_back((room("the-list"), Told::Event(listed)));
    });
    let _bob = Actor::in_room(&node.rooms, &permit("user-bob", &[]), "board-1");
    let order: Vec<String> = node.take().into_iter().map(|(room, _)| room.to_string()).collect();
    assert_eq!(order, ["board-1", "board-1", "the-list", "board-1"]);
}
