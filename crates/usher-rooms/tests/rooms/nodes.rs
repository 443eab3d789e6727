//! Two nodes and a bus between them: what a shared bus must be able to build on.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};
use usher_auth::ids::UserId;
use usher_auth::room::{Presence, RoomName, RoomPolicy};
use usher_rooms::{Bus, LocalDelivery, Member, NodeId, RoomEvent, RoomLimits, Rooms};

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
    /// What the rest of the cluster knows of this node.
    present: BTreeMap<RoomName, BTreeMap<UserId, Member>>,
}

struct Cluster([Node; 2]);

impl Node {
    fn new(number: u8, policy: RoomPolicy) -> Self {
        let bus = Arc::<QueueBus>::default();
        let limits = RoomLimits { members_listed: 5, ..RoomLimits::default() };
        let rooms = Rooms::with_bus(policy, limits, bus.clone());
        let delivery = rooms.local_delivery();
        Self { id: NodeId::from_random([number; 16]), rooms, bus, delivery, present: BTreeMap::new() }
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
                        let there = self.0[to].present.get(&room).map(|there| there.values().cloned().collect());
                        let there: Vec<Member> = there.unwrap_or_default();
                        self.0[from].delivery.present(self.0[to].id, &room, &there);
                    }
                    Told::Closed => {}
                    Told::Event(event) => {
                        let here = self.0[from].present.entry(room.clone()).or_default();
                        match &event {
                            RoomEvent::Arrived(member) => drop(here.insert(member.id.clone(), member.clone())),
                            RoomEvent::Departed(user) => drop(here.remove(user)),
                            RoomEvent::Said { .. } => {}
                        }
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
    let rooms = Rooms::new(boards(), RoomLimits::default());
    let delivery = rooms.local_delivery();
    let alice = Actor::in_room(&rooms, &permit("user-alice", &[]), "board-1");
    let inbox = alice.inbox();
    let event = RoomEvent::Arrived(Member::from(permit("user-bob", &[]).principal()));
    delivery.deliver(NodeId::from_random([2; 16]), &room("board-2"), &event);
    assert_eq!(rooms.room_count(), 1, "what happens elsewhere opens no room here");
    drop((alice, rooms));
    delivery.deliver(NodeId::from_random([2; 16]), &room("board-1"), &event);
    assert_eq!(inbox.frames(), []);
}
