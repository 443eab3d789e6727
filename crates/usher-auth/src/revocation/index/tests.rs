//! The index of revocations.

use super::*;
use crate::permit::IssuedBy;

fn facts(session: &str, issued_at: i64) -> CredentialFacts {
    CredentialFacts {
        user: UserId::new("alice").expect("valid"),
        session: Some(SessionId::new(session).expect("valid")),
        token: None,
        api_key: None,
        issued_by: None,
        issued_at: UnixTime::from_millis(issued_at),
        roles_read_at: None,
    }
}

fn user_revocation(before: i64) -> Revocation {
    Revocation {
        target: RevocationTarget::User {
            user: UserId::new("alice").expect("valid"),
            issued_before: UnixTime::from_millis(before),
            except: None,
        },
        cause: RevocationCause::PasswordChanged,
        at: UnixTime::from_millis(before),
        forget_at: UnixTime::from_millis(before + 10_000),
    }
}

fn of_issuer(issued_at: i64) -> CredentialFacts {
    let token = (Some(IssuerName::new("idp").expect("valid")), TokenId::new("a").expect("valid"));
    CredentialFacts { session: None, token: Some(token), ..facts("unused", issued_at) }
}

fn session_revocation(id: &str) -> Revocation {
    Revocation { target: RevocationTarget::Session(SessionId::new(id).expect("valid")), ..user_revocation(5_000) }
}

#[test]
fn sessions_end_by_id_whatever_the_clock_said() {
    // req H3
    let mut index = RevocationIndex::default();
    index.insert(&user_revocation(5_000));
    index.insert(&session_revocation("made-while-the-clock-was-ahead"));
    let ended = facts("made-while-the-clock-was-ahead", 900_000);
    assert_eq!(index.check(&ended), Some(RevocationCause::PasswordChanged));
    assert_eq!(index.check(&facts("made-after-it-was-set-back", 1_000)), None);
    index.forget(UnixTime::from_millis(15_000));
    assert!(index.is_empty());
}

#[test]
fn another_issuers_tokens_end_up_to_a_moment() {
    let mut index = RevocationIndex::default();
    index.insert(&user_revocation(5_500));
    assert!(index.check(&of_issuer(4_000)).is_some());
    assert!(index.check(&of_issuer(5_000)).is_some(), "one of the same second may be older");
    assert!(index.check(&of_issuer(0)).is_some(), "one that does not say when it was issued");
    assert_eq!(index.check(&of_issuer(6_000)), None);
}

#[test]
fn a_later_revocation_of_a_user_includes_an_earlier_one() {
    let mut index = RevocationIndex::default();
    for before in [7_000, 5_000, 9_000, 6_000] {
        index.insert(&user_revocation(before));
        index.insert(&Revocation { cause: RevocationCause::RolesChanged, ..user_revocation(before) });
    }
    assert_eq!(index.len(), 2);
    assert!(index.check(&of_issuer(9_000)).is_some());
    assert_eq!(index.check(&of_issuer(10_000)), None);
    let read_at = |millis| index.roles_changed_after(&facts("x", 0).user, UnixTime::from_millis(millis));
    assert_eq!((read_at(8_999), read_at(9_000)), (true, false));
    index.forget(UnixTime::from_millis(18_999));
    assert_eq!(index.len(), 2, "remembered for as long as the longest asks");
}

#[test]
fn an_api_key_ends_by_its_own_revocation() {
    let mut key = facts("unused", 1_000);
    key.session = None;
    key.api_key = Some(ApiKeyId::new("key_1").expect("valid"));
    for cause in RevocationCause::ALL {
        let mut index = RevocationIndex::default();
        index.insert(&Revocation { cause, ..user_revocation(5_000) });
        assert_eq!(index.check(&key), None, "{cause:?}");
        let target = RevocationTarget::ApiKey(key.api_key.clone().expect("set"));
        index.insert(&Revocation { target, cause, ..user_revocation(5_000) });
        assert_eq!(index.check(&key), Some(cause), "its own revocation ends it");
    }
}

#[test]
fn a_blocked_user_is_refused_with_every_credential_until_unblocked() {
    // req C6
    let user = UserId::new("alice").expect("valid");
    let mut key = facts("unused", 9_000);
    (key.session, key.api_key) = (None, Some(ApiKeyId::new("key_1").expect("valid")));
    let all = [facts("one", 9_000), of_issuer(9_000), key];
    for cause in [RevocationCause::UserDisabled, RevocationCause::UserBanned] {
        let mut index = RevocationIndex::default();
        index.insert(&session_revocation("two"));
        index.block(&BlockedUser { user: user.clone(), cause });
        index.forget(UnixTime::MAX);
        assert!(all.iter().all(|facts| index.check(facts) == Some(cause)));
        index.unblock(&user);
        assert!(all.iter().all(|facts| index.check(facts).is_none()));
    }
}

#[test]
fn what_is_revoked_twice_is_remembered_for_the_longer_time() {
    let mut index = RevocationIndex::default();
    let first = session_revocation("one");
    index.insert(&first);
    index.insert(&Revocation { forget_at: UnixTime::from_millis(99_000), ..first.clone() });
    index.insert(&first);
    index.forget(UnixTime::from_millis(98_999));
    assert!(index.check(&facts("one", 0)).is_some());
}

/// The same user's token, of one session of the issuer.
fn of_issuers_session(session: &str, issued_at: i64) -> CredentialFacts {
    let issued_by = IssuedBy {
        issuer: IssuerName::new("idp").expect("valid"),
        subject: IssuerSubject::new("a subject").expect("valid"),
        session: Some(IssuerSessionId::new(session).expect("valid")),
    };
    CredentialFacts { issued_by: Some(Box::new(issued_by)), ..of_issuer(issued_at) }
}

fn issuer_revocation(target: RevocationTarget) -> Revocation {
    Revocation { target, ..user_revocation(5_000) }
}

fn subject_target(issuer: &str, subject: &str, before: i64) -> RevocationTarget {
    RevocationTarget::IssuerSubject {
        issuer: IssuerName::new(issuer).expect("valid"),
        subject: IssuerSubject::new(subject).expect("valid"),
        issued_before: UnixTime::from_millis(before),
    }
}

#[test]
fn a_session_of_another_issuer_ends_by_its_own_name() {
    // req H16
    let target = |issuer: &str| {
        RevocationTarget::IssuerSession(
            IssuerName::new(issuer).expect("valid"),
            IssuerSessionId::new("one").expect("valid"),
        )
    };
    let mut index = RevocationIndex::default();
    index.insert(&issuer_revocation(target("other")));
    assert_eq!(index.check(&of_issuers_session("one", 1_000)), None, "another issuer's session of that name");
    index.insert(&issuer_revocation(target("idp")));
    for issued_at in [1_000, 900_000] {
        assert!(index.check(&of_issuers_session("one", issued_at)).is_some(), "whatever the clock said");
        assert_eq!(index.check(&of_issuers_session("two", issued_at)), None);
        assert_eq!(index.check(&of_issuer(issued_at)), None);
    }
    assert_eq!(index.check(&facts("one", 1_000)), None, "a session of ours of that name");
    index.forget(UnixTime::from_millis(15_000));
    assert!(index.is_empty());
}

#[test]
fn a_subject_of_another_issuer_ends_up_to_a_moment() {
    // req H16
    let mut index = RevocationIndex::default();
    index.insert(&issuer_revocation(subject_target("other", "a subject", 9_000)));
    index.insert(&issuer_revocation(subject_target("idp", "a", 9_000)));
    assert_eq!(index.check(&of_issuers_session("one", 1_000)), None);
    for before in [3_000, 5_500, 4_000] {
        index.insert(&issuer_revocation(subject_target("idp", "a subject", before)));
    }
    assert_eq!(index.len(), 3);
    assert!(index.check(&of_issuers_session("one", 5_000)).is_some(), "one of the same second may be older");
    assert_eq!(index.check(&of_issuers_session("one", 6_000)), None, "a later log-in at the issuer");
    assert_eq!(index.check(&of_issuer(1_000)), None, "a token that names no subject");
    index.forget(UnixTime::from_millis(15_000));
    assert!(index.is_empty());
}
