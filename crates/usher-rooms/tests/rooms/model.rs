//! Random sequences of everything that can happen in rooms, against a model that is too simple to be wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use serde_json::Value;
use usher_auth::room::{Presence, RoomPolicy};
use usher_auth::{Now, Permit};
use usher_rooms::{RoomLimits, Rooms};

use crate::support::{Actor, START, Views, deadline, fold, open_rule, permit, room};

const ROOMS: [&str; 3] = ["a", "b", "c"];
const MEMBERS_LISTED: usize = 3;

/// What each policy shows in each of [`ROOMS`]; `None` has no rule.
const POLICIES: [[Option<Presence>; 3]; 3] = [
    [Some(Presence::Full), Some(Presence::Count), Some(Presence::Off)],
    [None, Some(Presence::Full), Some(Presence::Full)],
    [Some(Presence::Full), Some(Presence::Off), Some(Presence::Count)],
];

#[derive(Clone, Debug)]
enum Step {
    Attach { user: usize },
    Join { connection: usize, room: usize },
    Leave { connection: usize, room: usize },
    Publish { connection: usize, room: usize },
    Typing { connection: usize, room: usize },
    Drop { connection: usize },
    Renew { connection: usize, user: usize },
    Policy { number: usize },
    Flush { millis: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let (user, connection, room) = (0..6_usize, 0..16_usize, 0..ROOMS.len());
    prop_oneof![
        4 => user.clone().prop_map(|user| Step::Attach { user }),
        12 => (connection.clone(), room.clone()).prop_map(|(connection, room)| Step::Join { connection, room }),
        4 => (connection.clone(), room.clone()).prop_map(|(connection, room)| Step::Leave { connection, room }),
        3 => (connection.clone(), room.clone()).prop_map(|(connection, room)| Step::Publish { connection, room }),
        3 => (connection.clone(), room).prop_map(|(connection, room)| Step::Typing { connection, room }),
        2 => connection.clone().prop_map(|connection| Step::Drop { connection }),
        1 => (connection, user).prop_map(|(connection, user)| Step::Renew { connection, user }),
        1 => (0..POLICIES.len()).prop_map(|number| Step::Policy { number }),
        4 => (0..1500_u64).prop_map(|millis| Step::Flush { millis }),
    ]
}

struct Connection {
    actor: Actor,
    /// The model: who, and where.
    user: usize,
    joined: BTreeSet<usize>,
    views: Views,
}

struct World {
    rooms: Rooms,
    now: Now,
    policy: usize,
    connections: Vec<Connection>,
    /// When each room last sent a number alone or a list.
    updated: BTreeMap<usize, Duration>,
}

fn user_id(user: usize) -> String {
    format!("user-{user}")
}

fn user_permit(user: usize) -> Permit {
    permit(&user_id(user), &[])
}

fn policy(number: usize) -> RoomPolicy {
    let rules = ROOMS.iter().zip(POLICIES[number]);
    RoomPolicy::new(rules.filter_map(|(name, presence)| Some(open_rule(name, presence?))).collect())
}

impl World {
    fn new() -> Self {
        let limits = RoomLimits { members_listed: MEMBERS_LISTED, ..RoomLimits::default() };
        let rooms = Rooms::new(policy(0), limits);
        Self { rooms, now: START, policy: 0, connections: Vec::new(), updated: BTreeMap::new() }
    }

    fn presence(&self, room: usize) -> Option<Presence> {
        POLICIES[self.policy][room]
    }

    fn users_in(&self, room: usize) -> BTreeSet<String> {
        self.connections.iter().filter(|c| c.joined.contains(&room)).map(|c| user_id(c.user)).collect()
    }

    /// Who must hear what is said in `room`: by connection.
    fn listeners(&self, room: usize, but: impl Fn(usize, &Connection) -> bool) -> Vec<usize> {
        let all = self.connections.iter().enumerate();
        all.filter(|(at, c)| c.joined.contains(&room) && !but(*at, c)).map(|(at, _)| at).collect()
    }

    fn step(&mut self, step: &Step) {
        let at = |connection: usize, all: &[Connection]| (!all.is_empty()).then(|| connection % all.len());
        match *step {
            Step::Attach { user } => {
                let actor = Actor::attach(&self.rooms, &user_permit(user));
                self.connections.push(Connection { actor, user, joined: BTreeSet::new(), views: Views::new() });
            }
            Step::Join { connection, room } => {
                let Some(at) = at(connection, &self.connections) else { return };
                let text = format!(r#"{{"type":"join","room":"{}"}}"#, ROOMS[room]);
                let allowed = self.presence(room).is_some();
                let connection = &mut self.connections[at];
                assert_eq!(connection.actor.send(&text).is_ok(), allowed);
                if allowed {
                    connection.joined.insert(room);
                }
            }
            Step::Leave { connection, room } => {
                let Some(at) = at(connection, &self.connections) else { return };
                let text = format!(r#"{{"type":"leave","room":"{}"}}"#, ROOMS[room]);
                let connection = &mut self.connections[at];
                assert_eq!(connection.actor.send(&text).is_ok(), connection.joined.remove(&room));
            }
            Step::Publish { connection, room } => {
                let Some(at) = at(connection, &self.connections) else { return };
                let listeners = self.listeners(room, |other, _| other == at);
                self.say(at, room, "publish", "message", &listeners);
            }
            Step::Typing { connection, room } => {
                let Some(at) = at(connection, &self.connections) else { return };
                let user = self.connections[at].user;
                let listeners = self.listeners(room, |_, other| other.user == user);
                self.say(at, room, "typing", "user_typing", &listeners);
            }
            Step::Drop { connection } => {
                let Some(at) = at(connection, &self.connections) else { return };
                let inbox = self.connections[at].actor.inbox();
                drop(self.connections.remove(at));
                assert_eq!(inbox.frames(), [], "it is not told of its own end");
            }
            Step::Renew { connection, user } => {
                let Some(at) = at(connection, &self.connections) else { return };
                assert_eq!(self.connections[at].actor.attendance.renew(&user_permit(user)), []);
                self.connections[at].user = user;
            }
            Step::Policy { number } => {
                self.policy = number;
                self.rooms.set_policy(policy(number));
                for connection in &mut self.connections {
                    let lost: Vec<_> =
                        connection.joined.extract_if(.., |room| POLICIES[number][*room].is_none()).collect();
                    let expected: Vec<_> = lost.iter().map(|at| room(ROOMS[*at])).collect();
                    assert_eq!(connection.actor.attendance.recheck(), expected);
                    // Those who are looked at later leave later, which the ones before them do not hear any more.
                    for frame in connection.actor.received() {
                        fold(&mut connection.views, &frame);
                    }
                    for at in lost {
                        connection.views.remove(ROOMS[at]);
                    }
                }
            }
            Step::Flush { millis } => {
                self.now = self.now.after(Duration::from_millis(millis));
                let next = self.rooms.flush(self.now);
                assert!(next.is_none_or(|next| next > self.now.monotonic));
            }
        }
    }

    /// Exactly `listeners` get one frame of type `heard`, and the sender an error if they are not in the room.
    fn say(&mut self, at: usize, room: usize, kind: &str, heard: &str, listeners: &[usize]) {
        let text = format!(r#"{{"type":"{kind}","room":"{}","data":{at}}}"#, ROOMS[room]);
        let is_in = self.connections[at].joined.contains(&room);
        assert_eq!(self.connections[at].actor.send(&text).is_ok(), is_in);
        for (other, connection) in self.connections.iter().enumerate() {
            let received = connection.actor.received();
            let types: Vec<_> = received.iter().map(|frame| frame["type"].as_str().expect("a type")).collect();
            if is_in && listeners.contains(&other) {
                assert_eq!(types, [heard]);
                assert_eq!(received[0]["room"], ROOMS[room]);
                assert_eq!(received[0]["user"]["id"], user_id(self.connections[at].user));
            } else if other == at && !is_in {
                assert_eq!(types, ["error"]);
            } else {
                assert_eq!(types, [] as [&str; 0]);
            }
        }
    }

    /// Everybody folds what they got, and knows what is true.
    fn check(&mut self) {
        let mut updates = BTreeSet::new();
        for connection in &mut self.connections {
            for frame in connection.actor.received() {
                check_shape(&frame, POLICIES[self.policy], &connection.joined);
                let room = ROOMS.iter().position(|name| frame["room"] == *name);
                if frame["type"] == "viewers"
                    && let Some(room) = room.filter(|room| POLICIES[self.policy][*room] == Some(Presence::Full))
                {
                    updates.insert(room);
                }
                fold(&mut connection.views, &frame);
            }
        }
        for room in updates {
            let before = self.updated.insert(room, self.now.monotonic);
            assert!(before.is_none_or(|before| self.now.monotonic >= before + Duration::from_secs(1)));
        }
        let settled = deadline(&self.rooms).is_none();
        let mut open = 0;
        for (index, name) in ROOMS.iter().enumerate() {
            let users = self.users_in(index);
            open += usize::from(!users.is_empty());
            assert_eq!(self.rooms.viewers(&room(name)), users.len());
            if users.is_empty() {
                // The next room of that name counts its seconds anew.
                self.updated.remove(&index);
            }
            let presence = self.presence(index);
            for connection in self.connections.iter().filter(|c| settled && c.joined.contains(&index)) {
                let view = &connection.views[*name];
                if matches!(presence, Some(Presence::Full | Presence::Count)) {
                    assert_eq!(view.viewers, Some(users.len() as u64), "{name}");
                }
                if presence == Some(Presence::Full) && users.len() <= MEMBERS_LISTED {
                    assert_eq!(view.members.as_ref(), Some(&users), "{name}");
                }
            }
        }
        assert_eq!(self.rooms.room_count(), open, "a room is there while somebody is in it");
    }
}

/// Nobody hears of a room they are not in, nor more than its presence shows (req I1).
fn check_shape(frame: &Value, policy: [Option<Presence>; 3], joined: &BTreeSet<usize>) {
    let Some(room) = ROOMS.iter().position(|name| frame["room"] == *name) else { return };
    let (kind, presence) = (frame["type"].as_str().expect("a type"), policy[room]);
    match kind {
        "left" | "error" => return,
        "joined" => {
            let shown = (!frame["viewers"].is_null(), !frame["members"].is_null());
            let expected = match presence {
                Some(Presence::Full) => (true, true),
                Some(Presence::Count) => (true, false),
                Some(Presence::Off) | None => (false, false),
            };
            assert_eq!(shown, expected, "{frame}");
        }
        "user_joined" | "user_left" => assert_eq!(presence, Some(Presence::Full), "{frame}"),
        "viewers" => {
            let allowed = match presence {
                Some(Presence::Full) => true,
                Some(Presence::Count) => frame["members"].is_null(),
                Some(Presence::Off) | None => false,
            };
            assert!(allowed, "{frame}");
        }
        _ => {}
    }
    assert!(joined.contains(&room), "not in the room: {frame}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// req I1, I3, S7
    #[test]
    fn every_client_knows_what_is_true(steps in proptest::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        for step in &steps {
            // What came before is read, so that what this step causes is all there is.
            world.step(step);
            world.check();
        }
        world.step(&Step::Flush { millis: 1000 });
        prop_assert_eq!(deadline(&world.rooms), None);
        world.check();
        world.connections.clear();
        prop_assert_eq!(world.rooms.room_count(), 0);
        prop_assert_eq!(deadline(&world.rooms), None);
    }
}
