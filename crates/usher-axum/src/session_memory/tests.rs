//! What is remembered, and what is not.

use std::collections::BTreeMap;

use usher_auth::secret::{PlainToken, TokenKind};

use super::*;

const LIMITS: MemoryLimits = MemoryLimits { entries: 3, age: Some(Duration::from_secs(10)) };

fn user(number: u8) -> UserId {
    UserId::new(format!("user-{number}")).expect("an id")
}

fn id(number: u8) -> SessionId {
    SessionId::from_random([number; 16])
}

fn secret(number: u8) -> HashedToken {
    PlainToken::from_random(TokenKind::Session, [number; 32]).hashed()
}

/// The session of that number of the user of another.
fn session(number: u8, of: u8, seen: i64) -> Known<Session> {
    let credential = Session {
        id: id(number),
        user: user(of),
        secret: secret(number),
        created_at: UnixTime::EPOCH,
        last_seen_at: UnixTime::from_seconds(seen),
        client_ip: None,
        user_agent: None,
    };
    Known { credential, user: None, read_at: UnixTime::EPOCH }
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn put(memory: &Memory<Session>, known: Known<Session>, now: Duration) {
    memory.insert(memory.begin(), known, now);
}

fn remembered(memory: &Memory<Session>, number: u8) -> bool {
    let by_secret = memory.by_secret(&secret(number), at(0)).is_some();
    assert_eq!(by_secret, memory.by_id(&id(number), at(0)).is_some());
    by_secret
}

#[test]
fn a_look_up_is_remembered_for_its_age_or_until_told() {
    for (age, held) in [(Some(at(10)), false), (None, true)] {
        let memory = Memory::new(MemoryLimits { entries: 3, age });
        put(&memory, session(1, 1, 0), at(5));
        assert!(memory.by_secret(&secret(1), at(15)).is_some());
        assert_eq!(memory.by_secret(&secret(1), at(16)).is_some(), held);
        assert_eq!(memory.len(), usize::from(held));
    }
}

#[test]
fn an_event_forgets_what_it_is_about() {
    let memory = Memory::new(LIMITS);
    for (number, of) in [(1, 1), (2, 1), (3, 2)] {
        put(&memory, session(number, of, 0), at(0));
    }
    memory.forget(&id(1));
    assert_eq!([1, 2, 3].map(|number| remembered(&memory, number)), [false, true, true]);
    memory.forget_user(&user(2));
    assert_eq!([1, 2, 3].map(|number| remembered(&memory, number)), [false, true, false]);
    memory.forget_all();
    assert_eq!(memory.len(), 0);
}

#[test]
fn a_look_up_that_an_event_fell_into_is_not_remembered() {
    // req H5: what it read may be from before the event, and nothing would correct it later.
    type Event = fn(&Memory<Session>);
    let about_it: [Event; 3] =
        [|memory| memory.forget(&id(1)), |memory| memory.forget_user(&user(1)), Memory::forget_all];
    for event in about_it {
        let memory = Memory::new(LIMITS);
        let look_up = memory.begin();
        event(&memory);
        memory.forget(&id(9));
        assert_eq!(memory.insert(look_up, session(1, 1, 0), at(0)).credential.id, id(1), "it is an answer for now");
        assert!(!remembered(&memory, 1));
        put(&memory, session(1, 1, 0), at(0));
        assert!(remembered(&memory, 1), "a look-up after the event");
    }
    let memory = Memory::new(LIMITS);
    let look_up = memory.begin();
    memory.forget(&id(2));
    memory.forget_user(&user(2));
    memory.insert(look_up, session(1, 1, 0), at(0));
    assert!(remembered(&memory, 1), "events about others");
    let look_up = memory.begin();
    for _ in 0..1_000 {
        memory.forget(&id(9));
    }
    memory.insert(look_up, session(2, 1, 0), at(0));
    assert!(!remembered(&memory, 2), "so many events that they are not known one by one");
}

#[test]
fn a_later_use_is_not_undone_by_an_earlier_look_up() {
    // req J4
    let memory = Memory::new(LIMITS);
    let (one, two) = (memory.begin(), memory.begin());
    memory.insert(one, session(1, 1, 10), at(0));
    memory.update(&id(1), |session| session.last_seen_at = UnixTime::from_seconds(50));
    memory.insert(two, session(1, 1, 10), at(0));
    let seen = memory.by_id(&id(1), at(0)).expect("remembered").credential.last_seen_at;
    assert_eq!((seen, memory.len()), (UnixTime::from_seconds(50), 1));
    memory.update(&id(2), |_| panic!("it is not remembered"));
}

#[test]
fn what_was_used_stays_longest() {
    let memory = Memory::new(LIMITS);
    for number in 1..=3 {
        put(&memory, session(number, number, 0), at(0));
    }
    assert!(memory.by_secret(&secret(1), at(0)).is_some());
    put(&memory, session(4, 4, 0), at(0));
    assert_eq!(memory.len(), 3);
    let kept = [1, 2, 3, 4].map(|number| memory.by_id(&id(number), at(0)).is_some());
    assert_eq!(kept, [true, false, true, true]);
    // All were used by that look.
    put(&memory, session(5, 5, 0), at(0));
    assert!(memory.len() == 3 && memory.by_id(&id(5), at(0)).is_some());
}

#[test]
fn it_holds_what_a_plain_map_would_hold() {
    // A long walk of all operations, of which none may leave a trace in one map alone; what is remembered is what was put in last.
    let memory = Memory::new(MemoryLimits { entries: 8, age: None });
    let mut model = BTreeMap::new();
    let mut state = 7_u32;
    for step in 0..20_000 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let [number, of, what, _] = (state >> 3).to_be_bytes().map(|byte| byte % 16);
        // A session belongs to one user for good.
        let of = (number ^ of) % 4 + number % 2 * 4;
        match what {
            0..=9 => {
                memory.forget(&id(number));
                put(&memory, session(number, of, step), at(0));
                model.insert(number, (of, step));
            }
            10..=12 => {
                memory.forget(&id(number));
                model.remove(&number);
            }
            13 => {
                memory.forget_user(&user(of));
                model.retain(|_, (owner, _)| *owner != of);
            }
            14 => memory.update(&id(number), |session| assert_eq!(session.id, id(number))),
            _ if step % 50 == 0 => {
                memory.forget_all();
                model.clear();
            }
            _ => {}
        }
        assert!(memory.len() <= 8);
        if let Some(known) = memory.by_id(&id(number), at(0)) {
            let expected = model.get(&number).map(|(of, seen)| (user(*of), UnixTime::from_seconds(*seen)));
            let known = &known.credential;
            assert_eq!(Some((known.user.clone(), known.last_seen_at)), expected, "step {step}");
        }
        if let Some(known) = memory.by_secret(&secret(number), at(0)) {
            assert!(model.contains_key(&number) && known.credential.id == id(number), "step {step}");
        }
    }
}
