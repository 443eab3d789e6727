//! Tickets written and read back, and every way to forge one.

use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;

use super::*;

const SECRET: HashedToken = HashedToken::from_bytes([3; 32]);

fn key() -> TicketRecordKey {
    TicketRecordKey::from_bytes(&[5; 32])
}

fn user() -> impl Strategy<Value = UserId> {
    "[a-zäß:@.]{1,20}".prop_map(|text| UserId::new(text).expect("an id"))
}

fn moment() -> impl Strategy<Value = UnixTime> {
    (0..UnixTime::MAX.as_millis()).prop_map(UnixTime::from_millis)
}

prop_compose! {
    fn principal()(
        id in user(),
        name in ".{0,20}",
        roles in vec("[a-z]{1,9}", 0..4),
        claims in btree_map(".{0,9}", vec(".{0,9}", 0..3), 0..3),
        anonymous: bool,
    ) -> Principal {
        let roles = roles.into_iter().map(|role| Role::new(role).expect("a role")).collect();
        Principal { id, name, roles, claims, anonymous }
    }
}

prop_compose! {
    fn credential()(
        user in user(),
        ids: ([u8; 16], [u8; 16], [u8; 16]),
        has: [bool; 6],
        texts in (".{1,20}", ".{1,20}"),
        issued_at in moment(),
        roles_read_at in of(moment()),
    ) -> CredentialFacts {
        let issuer = has[0].then(|| IssuerName::new("google").expect("a name"));
        let issued_by = has[4].then(|| IssuedBy {
            issuer: IssuerName::new("google").expect("a name"),
            subject: IssuerSubject::new(texts.0).expect("a text"),
            session: has[5].then(|| IssuerSessionId::new(texts.1).expect("a text")),
        });
        CredentialFacts {
            user,
            session: has[1].then(|| SessionId::from_random(ids.0)),
            token: has[2].then(|| (issuer, TokenId::from_random(ids.1))),
            api_key: has[3].then(|| ApiKeyId::from_random(ids.2)),
            issued_by: issued_by.map(Box::new),
            issued_at,
            roles_read_at,
        }
    }
}

prop_compose! {
    fn ticket()(
        principal in principal(),
        credential in credential(),
        credential_expires_at in of(moment()),
        expires_at in moment(),
        origin in of(".{0,30}"),
        path in of(".{0,30}"),
    ) -> Ticket {
        Ticket { principal, credential, credential_expires_at, expires_at, origin, path }
    }
}

/// One ticket.
fn any_ticket() -> Ticket {
    let credential = CredentialFacts {
        user: UserId::new("alice").unwrap(),
        session: None,
        token: None,
        api_key: None,
        issued_by: None,
        issued_at: UnixTime::EPOCH,
        roles_read_at: None,
    };
    let principal = Principal {
        id: UserId::new("alice").unwrap(),
        name: "Alice".to_owned(),
        roles: Vec::new(),
        claims: BTreeMap::new(),
        anonymous: false,
    };
    let expires_at = UnixTime::from_seconds(60);
    Ticket { principal, credential, credential_expires_at: None, expires_at, origin: None, path: None }
}

proptest! {
    #[test]
    fn a_ticket_is_read_back(ticket in ticket(), secret: [u8; 32], key_bytes: [u8; 32]) {
        let (secret, key) = (HashedToken::from_bytes(secret), TicketRecordKey::from_bytes(&key_bytes));
        let read = Ticket::from_record(&ticket.to_record(&secret, &key), &secret, &key).expect("what was written");
        // A ticket cannot be compared, since nothing else needs that: each field is shown by its `Debug`.
        prop_assert_eq!(format!("{read:?}"), format!("{ticket:?}"));
    }

    /// req D3: only what was written is read. No byte of a record can be another one.
    #[test]
    fn a_changed_record_is_refused(at: proptest::sample::Index, to in 0x20_u8..0x7f) {
        let written = any_ticket().to_record(&SECRET, &key());
        let mut bytes = written.clone().into_bytes();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != to);
        bytes[at] = to;
        let changed = String::from_utf8(bytes).unwrap();
        let read = Ticket::from_record(&changed, &SECRET, &key());
        prop_assert!(read.is_err(), "{changed}");
    }
}

#[test]
fn a_writer_to_the_store_cannot_forge_a_ticket() {
    let written = any_ticket().to_record(&SECRET, &key());
    assert!(Ticket::from_record(&written, &SECRET, &key()).is_ok());
    // Another user's name in it.
    let other = written.replace("alice", "admin");
    assert_eq!(Ticket::from_record(&other, &SECRET, &key()).unwrap_err(), RecordError::Forged);
    // Moved to the hash of a secret that the attacker knows.
    let moved = Ticket::from_record(&written, &HashedToken::from_bytes([4; 32]), &key());
    assert_eq!(moved.unwrap_err(), RecordError::Forged);
    // Made with a key of their own, or without one.
    let own = any_ticket().to_record(&SECRET, &TicketRecordKey::from_bytes(&[6; 32]));
    assert_eq!(Ticket::from_record(&own, &SECRET, &key()).unwrap_err(), RecordError::Forged);
    let fields = serde_json::to_value(TicketFields::from(&any_ticket())).unwrap();
    for code in ["", "!", "AAAA"] {
        let without = record::write(VERSION, &serde_json::json!({"code": code, "ticket": fields}));
        assert_eq!(Ticket::from_record(&without, &SECRET, &key()).unwrap_err(), RecordError::Forged, "{code}");
    }
}

#[test]
fn a_record_of_another_version_is_told_as_such() {
    let written = any_ticket().to_record(&SECRET, &key()).replacen("\"v\":1", "\"v\":2", 1);
    let error = Ticket::from_record(&written, &SECRET, &key()).unwrap_err();
    assert_eq!(error, RecordError::Version { found: 2, known: 1 });
    assert_eq!(Ticket::from_record("{}", &SECRET, &key()).unwrap_err(), RecordError::Malformed { column: 2 });
}
