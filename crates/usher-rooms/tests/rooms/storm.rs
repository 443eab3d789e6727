//! Many threads at once: whatever they do, one order, no deadlock, and nothing left behind.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use usher_auth::room::{Presence, RoomName, RoomPolicy};
use usher_auth::{Now, Permit};
use usher_rooms::{Bus, RoomEvent, RoomLimits, Rooms};

use crate::support::{Actor, START, Views, deadline, fold, open_rule, permit, room};

const ROOMS: [&str; 3] = ["board-1", "board-2", "board-3"];
const THREADS: u64 = 4;
const STEPS: u32 = 2000;
/// Far more than the storm takes: past it something is stuck.
const STUCK_AFTER: Duration = Duration::from_mins(2);

/// A sequence of numbers that looks random and is the same every time.
struct Numbers {
    seed: u64,
    drawn: u64,
}

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        let mut hasher = DefaultHasher::new();
        (self.seed, self.drawn).hash(&mut hasher);
        self.drawn += 1;
        usize::try_from(hasher.finish() % bound as u64).expect("below a usize")
    }
}

/// The time of a storm: each look at it finds it later.
#[derive(Default)]
struct Clock(AtomicU64);

impl Clock {
    fn now(&self) -> Now {
        START.after(Duration::from_millis(self.0.fetch_add(100, Ordering::Relaxed)))
    }
}

/// Comes, goes, speaks and vanishes, over and over. Whatever the others do meanwhile, each client's changes fit each other.
fn storm(rooms: &Rooms, permits: &[Permit], clock: &Clock, seed: u64) {
    let mut numbers = Numbers { seed, drawn: 0 };
    let mut clients: Vec<(Actor, Views)> = Vec::new();
    for _ in 0..STEPS {
        let name = ROOMS[numbers.below(ROOMS.len())];
        if clients.len() < 4 {
            clients.push((Actor::attach(rooms, &permits[numbers.below(permits.len())]), Views::new()));
            continue;
        }
        let at = numbers.below(clients.len());
        let text = match numbers.below(11) {
            0..4 => format!(r#"{{"type":"join","room":"{name}"}}"#),
            4..6 => format!(r#"{{"type":"leave","room":"{name}"}}"#),
            6..8 => format!(r#"{{"type":"publish","room":"{name}","data":{at}}}"#),
            8 => format!(r#"{{"type":"typing","room":"{name}"}}"#),
            9 => {
                rooms.flush(clock.now());
                continue;
            }
            _ => {
                drop(clients.swap_remove(at));
                continue;
            }
        };
        let (actor, views) = &mut clients[at];
        let allowed = actor.send(&text).is_ok();
        let received = actor.received();
        assert_eq!(!allowed, received.iter().any(|frame| frame["type"] == "error"), "refused for want of a join only");
        received.iter().filter(|frame| frame["type"] != "error").for_each(|frame| fold(views, frame));
        let known: Vec<_> = views.keys().map(String::as_str).collect();
        let joined: Vec<_> = actor.attendance.rooms().map(RoomName::as_str).collect();
        assert_eq!(known, joined, "nothing of a room one is not in");
    }
}

/// Runs `work` on [`THREADS`] threads and fails if they do not come back.
fn run(work: impl Fn(u64) + Send + Sync + 'static) {
    let work = Arc::new(work);
    let (done, finished) = mpsc::channel();
    let threads: Vec<_> = (0..THREADS)
        .map(|number| {
            let (work, done) = (work.clone(), done.clone());
            thread::spawn(move || {
                work(number);
                done.send(()).expect("somebody waits");
            })
        })
        .collect();
    drop(done);
    let all_back = threads.iter().all(|_| finished.recv_timeout(STUCK_AFTER).is_ok());
    assert!(all_back, "a thread is stuck or has failed");
    for thread in threads {
        thread.join().expect("no panic");
    }
}

fn permits() -> Vec<Permit> {
    (0..6).map(|number| permit(&format!("user-{number}"), &[])).collect()
}

fn rooms(members_listed: usize) -> Rooms {
    let limits = RoomLimits { members_listed, ..RoomLimits::default() };
    Rooms::new(RoomPolicy::new(vec![open_rule("board-*", Presence::Full)]), limits)
}

/// Two watch a storm in a room that lists so many members, and must hear the same. What they heard.
fn watch_a_storm(members_listed: usize) -> Vec<Value> {
    let (rooms, clock) = (rooms(members_listed), Arc::<Clock>::default());
    let watchers = ["user-x", "user-y"].map(|id| Actor::in_room(&rooms, &permit(id, &[]), "board-1"));
    watchers[0].received();
    let mut views = Views::new();
    let mut first = Actor::attach(&rooms, &permit("user-x", &[]));
    first.join("board-1");
    for frame in &first.received() {
        fold(&mut views, frame);
    }

    let (stormy, time, permits) = (rooms.clone(), clock.clone(), permits());
    run(move |number| storm(&stormy, &permits, &time, number));
    rooms.flush(clock.now().after(RoomLimits::DEFAULT_UPDATE_INTERVAL));

    let [one, other] = watchers.each_ref().map(Actor::received);
    assert_eq!(one, other, "two who listened all the time heard the same in the same order");
    // The folded view holds all the way through, and ends with who is left.
    for frame in &first.received() {
        fold(&mut views, frame);
    }
    assert_eq!(views["board-1"].members, Some(["user-x", "user-y"].map(String::from).into()));
    assert_eq!(rooms.viewers(&room("board-1")), 2);
    assert_eq!(rooms.room_count(), 1);
    drop((watchers, first));
    assert_eq!(rooms.room_count(), 0);
    assert_eq!(deadline(&rooms), None);
    one
}

#[test]
fn a_storm_is_seen_in_one_order_and_leaves_nothing_behind() {
    // All one by one, all together, and to and fro.
    for (members_listed, told) in [(100, "user_joined"), (2, "viewers"), (5, "message")] {
        let heard = watch_a_storm(members_listed);
        assert!(heard.iter().filter(|frame| frame["type"] == told).count() > 10, "{told}");
    }
}

/// Checks that a name is never open twice, and makes the moment in which a room is closed and can still be found a long one.
#[derive(Default)]
struct OneRoomBus {
    open: AtomicUsize,
    opened: AtomicUsize,
    twice: AtomicBool,
}

impl Bus for OneRoomBus {
    fn opened(&self, _room: &RoomName) {
        self.opened.fetch_add(1, Ordering::Relaxed);
        if self.open.fetch_add(1, Ordering::SeqCst) != 0 {
            self.twice.store(true, Ordering::Relaxed);
        }
    }

    fn closed(&self, _room: &RoomName) {
        self.open.fetch_sub(1, Ordering::SeqCst);
        for _ in 0..10 {
            thread::yield_now();
        }
    }

    fn publish(&self, _room: &RoomName, _event: &RoomEvent) {}
}

#[test]
fn a_room_that_opens_and_closes_all_the_time_is_always_one_room() {
    let bus = Arc::<OneRoomBus>::default();
    let policy = RoomPolicy::new(vec![open_rule("board-*", Presence::Full)]);
    let rooms = Rooms::with_bus(policy, RoomLimits::default(), |_| bus.clone());
    let contested = rooms.clone();
    let permits = permits();
    run(move |number| {
        let mut actor = Actor::attach(&contested, &permits[usize::try_from(number).expect("small")]);
        for _ in 0..STEPS {
            actor.join("board-1");
            assert!(contested.viewers(&room("board-1")) > 0, "whoever is in a room is in the one that is found");
            actor.leave("board-1");
            let told = actor.received();
            assert_eq!(told.first().map(|frame| &frame["type"]), Some(&"joined".into()));
            assert_eq!(told.last().map(|frame| &frame["type"]), Some(&"left".into()));
            let mut views = Views::new();
            for frame in &told {
                fold(&mut views, frame);
            }
        }
    });
    assert!(!bus.twice.load(Ordering::Relaxed), "two rooms of one name");
    assert!(bus.opened.load(Ordering::Relaxed) > 10, "it did open and close");
    assert_eq!(bus.open.load(Ordering::Relaxed), 0);
    assert_eq!(rooms.room_count(), 0);
    assert_eq!(deadline(&rooms), None);
}

#[test]
fn once_a_policy_is_set_nobody_does_what_it_forbids() {
    // req I3
    let rooms = rooms(5);
    let (changing, permits) = (rooms.clone(), permits());
    let open = RoomPolicy::new(vec![open_rule("board-*", Presence::Full)]);
    let closed = AtomicBool::new(false);
    run(move |number| {
        if number == 0 {
            for round in 0..STEPS {
                changing.set_policy(if round % 2 == 0 { RoomPolicy::default() } else { open.clone() });
            }
            changing.set_policy(RoomPolicy::default());
            closed.store(true, Ordering::Release);
            return;
        }
        let mut actor = Actor::attach(&changing, &permits[usize::try_from(number).expect("small")]);
        let mut refused = 0;
        while refused < 10 {
            let forbidden = closed.load(Ordering::Acquire);
            for text in [r#"{"type":"join","room":"board-1"}"#, r#"{"type":"publish","room":"board-1","data":0}"#] {
                let result = actor.send(text);
                assert!(!forbidden || result.is_err(), "{text} after the policy that forbids it");
            }
            refused += u32::from(forbidden);
            actor.received();
        }
        // It was looked at again when it tried to join: nothing comes any more, whatever the others still do.
        assert_eq!(actor.attendance.rooms().len(), 0);
        thread::yield_now();
        assert_eq!(actor.received(), [] as [Value; 0]);
    });
    assert_eq!(rooms.room_count(), 0);
}
