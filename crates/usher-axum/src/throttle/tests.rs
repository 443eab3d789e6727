//! Guesses, crowds and log-ins, in simulated time.

use usher_auth::UnixTime;

use super::*;

const START: Now = Now { monotonic: Duration::from_secs(1), unix: UnixTime::from_seconds(1_760_000_000) };

fn user(id: &str) -> UserId {
    UserId::new(id).expect("an id")
}

fn fail(throttle: &Arc<Throttle>, account: &str, source: IpAddr) {
    drop(throttle.try_attempt(account, source, START).map_err(Full::into_refused).expect("room"));
}

fn may(throttle: &Arc<Throttle>, account: &str, source: IpAddr) -> bool {
    throttle.try_attempt(account, source, START).is_ok_and(|attempt| {
        attempt.give_back();
        true
    })
}

#[test]
fn a_stranger_does_not_lock_the_owner_out() {
    // req K2
    let throttle = Arc::new(Throttle::new(FailureLimits::default(), LoginLimits::default(), &[7; 32]));
    let (stranger, home) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
    let at_home = throttle.try_attempt("alice", home, START).map_err(Full::into_refused).expect("room");
    at_home.succeeded(&user("alice"), START);
    for _ in 0..10 {
        fail(&throttle, "alice", stranger);
    }
    assert!(!may(&throttle, "alice", stranger));
    assert!(!may(&throttle, "alice", IpAddr::from([192, 0, 2, 3])), "all strangers together");
    assert!(may(&throttle, "alice", home));
    assert!(may(&throttle, "bob", stranger));
}

#[test]
fn one_guess_on_each_of_many_accounts_is_seen_by_its_source() {
    // req K2
    let throttle = Arc::new(Throttle::new(FailureLimits::default(), LoginLimits::default(), &[7; 32]));
    let source = IpAddr::from([192, 0, 2, 1]);
    for account in 0..60 {
        assert!(throttle.record_failure(Some(&account.to_string()), source, START).is_ok());
    }
    assert!(throttle.record_failure(None, source, START).is_err());
    assert!(!may(&throttle, "alice", source));
}

#[test]
fn a_try_counts_from_its_beginning_until_it_turns_out_well() {
    // req K2
    let throttle = Arc::new(Throttle::new(FailureLimits::default(), LoginLimits::default(), &[7; 32]));
    let source = IpAddr::from([192, 0, 2, 1]);
    let begin = || throttle.try_attempt("alice", source, START);
    let mut tries: Vec<Attempt> = (0..10).map(|_| begin().map_err(Full::into_refused).expect("room")).collect();
    assert!(matches!(begin(), Err(Full::Undecided(_))), "one of the ten may be good");
    tries.pop().expect("a try").succeeded(&user("alice"), START);
    tries.push(begin().map_err(Full::into_refused).expect("it was, and made room"));
    // Now the owner is known there, and the strangers' count is another.
    drop(tries);
    let counters = throttle.counters.lock();
    assert!(counters.undecided_accounts.is_empty() && counters.undecided_sources.is_empty());
}

#[test]
fn log_ins_that_succeed_are_counted_by_account_and_by_source() {
    // req K2
    let logins = LoginLimits {
        per_account: AttemptRate { attempts: 3, per: Duration::from_mins(1) },
        per_source: AttemptRate { attempts: 5, per: Duration::from_mins(1) },
    };
    let throttle = Arc::new(Throttle::new(FailureLimits::default(), logins, &[7; 32]));
    let source = |number: u8| IpAddr::from([192, 0, 2, number]);
    let log_in =
        |id: &str, from: u8, now: Now| match throttle.try_attempt(id, source(from), now).map_err(Full::into_refused) {
            Ok(attempt) => {
                attempt.succeeded(&user(id), now);
                None
            }
            Err(AttemptRefused::Logins { retry_after, detail }) => Some((retry_after.as_secs(), detail)),
            Err(AttemptRefused::Failures(refusal)) => panic!("{refusal:?}"),
        };
    for from in [1, 2, 1] {
        assert_eq!(log_in("alice", from, START), None);
    }
    assert_eq!(log_in("alice", 3, START), Some((20, "too many log-ins on this account")));
    assert!(matches!(throttle.refuses("alice", source(3), START), Some(AttemptRefused::Logins { .. })));
    for id in ["bob", "carol", "dave"] {
        assert_eq!(log_in(id, 1, START), None, "{id}");
    }
    assert_eq!(log_in("erin", 1, START), Some((12, "too many log-ins from this source")));
    assert_eq!(log_in("erin", 2, START), None, "others are not touched");
    // What fails, or is not looked at, is no log-in.
    for _ in 0..5 {
        drop(throttle.try_attempt("frank", source(4), START).map_err(Full::into_refused).expect("room"));
        throttle.try_attempt("frank", source(4), START).map_err(Full::into_refused).expect("room").give_back();
    }
    assert_eq!(log_in("frank", 4, START), None);
    assert_eq!(log_in("alice", 3, START.after(Duration::from_secs(20))), None);
}

#[test]
fn an_owner_is_let_in_after_a_restart_from_an_address_they_always_use() {
    // req K2
    let fresh = || Arc::new(Throttle::new(FailureLimits::default(), LoginLimits::default(), &[7; 32]));
    let (stranger, home) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
    let before = fresh();
    before
        .try_attempt("alice", home, START)
        .map_err(Full::into_refused)
        .expect("room")
        .succeeded(&user("alice"), START);
    let after = fresh();
    after.load_known_addresses(before.take_new_addresses());
    for _ in 0..10 {
        fail(&after, "alice", stranger);
    }
    assert!(!may(&after, "alice", stranger));
    assert!(may(&after, "alice", home));
    after.forget_user(&user("alice"));
    assert!(!may(&after, "alice", home), "the next user of that name is another one");
}
