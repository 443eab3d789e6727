//! Floods, in simulated time.

use std::net::IpAddr;

use usher_auth::UnixTime;
use usher_auth::client_address::ClientAddress;

use super::*;

const START: Now = Now { monotonic: Duration::from_secs(100), unix: UnixTime::from_seconds(1_760_000_000) };

fn failure(source: u32) -> Record {
    let client = ClientAddress(IpAddr::from(source.to_be_bytes()));
    Record::new(AuditEvent::LoginFail, Outcome::Failure).reason("invalid_token").from(client, None, "/ws")
}

fn guess(user: &str, source: u32) -> Record {
    failure(source).reason("invalid_credentials").subject(&UserId::new(user).expect("an id")).claimed(user)
}

fn count(record: &Record) -> u64 {
    record.folded.as_ref().map_or(1, |folded| folded.count)
}

/// Most frequent subjects and sources of a record that stands for others, and how many more there were.
fn shown(record: &Record) -> serde_json::Value {
    let keys = super::super::AuditKeys::from_secret(&[7; 32]);
    serde_json::from_str(&record.to_json(START.unix, &keys)).expect("JSON")
}

#[test]
fn what_is_alike_is_counted_and_nothing_is_lost() {
    // req N5
    let mut flood = Flood::default();
    assert!(flood.due(START).is_empty());
    let written = (0..1000).filter(|_| flood.admit(failure(1), START).is_some()).count();
    assert_eq!(written, 20);
    assert!(flood.admit(failure(2), START).is_some(), "another source");
    assert!(flood.due(START.after(Duration::from_secs(59))).is_empty());
    let over = flood.due(START.after(Duration::from_mins(1)));
    assert_eq!(over.len(), 1);
    assert_eq!(count(&over[0]), 980);
    assert_eq!(over[0].ip, Some(IpAddr::from([0, 0, 0, 1])));
    assert!(flood.admit(failure(1), START).is_some(), "a new window");
}

#[test]
fn many_sources_together_do_not_fill_the_disk_or_the_memory() {
    // req N5
    let mut flood = Flood::default();
    let total = 200_000;
    let written = (0..total).filter(|n| flood.admit(failure(*n), START).is_some()).count();
    assert_eq!(written, 2_000);
    assert!(flood.anonymous.keys() <= 2_001);
    let over = flood.take();
    assert_eq!(over.iter().map(count).sum::<u64>() + 2_000, u64::from(total));
    assert_eq!(over.len(), 1);
}

#[test]
fn noise_without_a_credential_does_not_hide_an_attack_on_a_user() {
    // req N5
    let mut flood = Flood::default();
    for n in 0..200_000 {
        flood.admit(failure(n), START);
    }
    for n in 0..5 {
        let written = flood.admit(guess("alice", 99), START).unwrap_or_else(|| panic!("guess {n}"));
        assert_eq!(written.subject.as_ref().map(UserId::as_str), Some("alice"));
        assert!(written.ip.is_some());
    }
}

#[test]
fn a_record_that_stands_for_others_names_users_and_sources() {
    // req N5
    let mut flood = Flood::default();
    // One user is attacked from everywhere, mostly from one network; then another is.
    for n in 0..50_000_u32 {
        flood.admit(guess("alice", if n % 3 == 0 { 7 } else { 1_000 + n }), START);
    }
    assert!(flood.admit(guess("bob", 8), START).is_some(), "alice's hundred are hers alone");
    let over: Vec<_> = flood.take().iter().map(shown).collect();
    let group = over.iter().find(|record| record["ip"].is_null()).expect("of many sources");
    assert_eq!((&group["subject"], &group["event"]), (&"alice".into(), &"authn_login_fail".into()));
    assert_eq!(group["sources"].as_array().map(Vec::len), Some(10));
    assert!(group["sources_more"].as_u64().is_some_and(|more| more >= 490), "{group}");
    let exact = over.iter().find(|record| record["ip"] == "0.0.0.7").expect("of the one source");
    assert_eq!(exact["subject"], "alice");
}

#[test]
fn an_attack_on_all_users_is_told_with_some_of_them() {
    // req N5: more users than are counted apart.
    let mut flood = Flood::default();
    let total = 100_000;
    let written = (0..total).filter(|n| flood.admit(guess(&format!("user-{n}"), *n), START).is_some()).count();
    assert_eq!(written, 2_000);
    assert!(flood.named.keys() <= 2_000 + 2_000 + 256 + 1, "{}", flood.named.keys());
    let over = flood.take();
    assert_eq!(over.iter().map(count).sum::<u64>() + 2_000, u64::from(total));
    let over: Vec<_> = over.iter().map(shown).collect();
    let kind = over.iter().find(|record| record["subject"].is_null()).expect("of many users");
    for list in ["subjects", "sources", "claimed_names"] {
        assert!(kind[list].as_array().is_some_and(|list| !list.is_empty() && list.len() <= 10), "{list}: {kind}");
        assert!(kind[format!("{list}_more")].as_u64().is_some_and(|more| more >= 400), "{list}: {kind}");
    }
    assert!(kind["subjects"][0]["subject"].as_str().is_some_and(|user| user.starts_with("user-")), "{kind}");
    assert!(kind.to_string().len() < 8_192);
}

#[test]
fn names_that_no_user_has_take_no_more_room_than_noise() {
    // req N5, N4: such names are a client's choice, and may be as long as a request.
    let mut flood = Flood::default();
    for n in 0..50_000_u32 {
        flood.admit(failure(n).reason("invalid_credentials").claimed(&format!("{n}{}", "x".repeat(200))), START);
    }
    assert!(flood.anonymous.keys() <= 2_001);
    assert!(flood.admit(guess("alice", 1), START).is_some());
    let group = shown(&flood.take()[0]);
    assert!(group["claimed_names_more"].as_u64().is_some_and(|more| more >= 400), "{group}");
    assert!(!group.to_string().contains("xxx"));
}

#[test]
fn what_differs_between_records_is_not_said_of_all() {
    let mut flood = Flood::default();
    for carrier in ["header", "cookie"] {
        for _ in 0..30 {
            flood.admit(failure(1).carrier(carrier).detail("the same"), START);
        }
    }
    let over = shown(&flood.take()[0]);
    assert_eq!((&over["count"], &over["detail"]), (&40.into(), &"the same".into()));
    assert!(over["carrier"].is_null() && over["route"] == "/ws", "{over}");
}

#[test]
fn users_behind_one_address_are_told_apart() {
    let mut flood = Flood::default();
    for n in 0..5_000 {
        let user = UserId::new(format!("user-{n}")).expect("an id");
        let login = Record::new(AuditEvent::LoginSuccess, Outcome::Success).subject(&user);
        assert!(flood.admit(login, START).is_some(), "{n}");
    }
}
