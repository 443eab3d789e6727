//! Every operation, with every one of its writes failing once: what is then true?
//!
//! A failed operation has no effect, the store works again as soon as the fault is gone, and the same operation then does what it would
//! have done. A backend's tests call [`every_write_fails_once`] with stores that can be made to fail.

use std::fmt::Write as _;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use usher_auth::UnixTime;
use usher_auth::ids::{IssuerName, IssuerSessionId};
use usher_auth::revocation::{RevocationCause, RevocationTarget};
use usher_auth::session::{RefreshState, RefreshToken};
use usher_auth::user::{PasswordHash, User};

use super::fixtures::{
    api_key, at, refresh_token, revocation, roles, secret, session, session_id, session_target, times, user, user_id,
    user_target,
};
use crate::{
    AuditEntry, AuditStore, ChainHead, HashedAddress, KnownAddress, KnownAddressBounds, NewSession, RefreshRotation,
    Store, StoreError, UserChange,
};

/// A store that can be made to fail.
#[async_trait]
pub trait FaultyStore: Send + Sync {
    /// The store.
    fn store(&self) -> Arc<dyn Store>;
    /// Its audit trail.
    fn audit(&self) -> Arc<dyn AuditStore>;
    /// From now on the `n`th write of a transaction fails in this way, counted from 0. False if there is no such `n`: some faults do not
    /// depend on the write. For [`every_statement_fails_once`] it is the `n`th point at which a statement can fail, and only the first
    /// that gets there does.
    async fn break_at(&self, fault: &'static str, n: usize) -> bool;
    /// Nothing fails any more.
    async fn mend(&self);
}

/// One operation; what came of it, as text.
type Run = for<'a> fn(&'a dyn FaultyStore) -> Pin<Box<dyn Future<Output = Result<String, StoreError>> + Send + 'a>>;

macro_rules! operations {
    ($(($name:literal, |$faulty:ident| $run:expr),)+) => {
        const OPERATIONS: &[(&str, Run)] = &[$(($name, |$faulty| Box::pin(async move {
            let outcome = $run.await?;
            Ok(format!("{outcome:?}"))
        }))),+];
    };
}

operations![
    ("create_user", |faulty| faulty.store().create_user(&user("carol"), Some(&hash("YQ")))),
    ("change_user password", |faulty| change(faulty, UserChange::Password(hash("Yg")))),
    ("change_user roles", |faulty| change(faulty, UserChange::Roles(roles(&["admin"])))),
    ("change_user disable", |faulty| change(faulty, UserChange::Disable)),
    ("change_user enable", |faulty| change(faulty, UserChange::Enable)),
    ("change_user remove", |faulty| change(faulty, UserChange::Remove)),
    ("upgrade_password_hash", |faulty| upgrade(faulty)),
    ("ban_user", |faulty| faulty.store().ban_user(&user_id("idp:7"), times(at(50)))),
    ("unban_user", |faulty| faulty.store().unban_user(&user_id("idp:8"))),
    ("create_session", |faulty| faulty.store().create_session(&session("new", "alice", at(9)))),
    ("start_session", |faulty| start_session(faulty)),
    ("touch_session", |faulty| faulty.store().touch_session(&session_id("one"), at(99))),
    ("touch_sessions", |faulty| touch_sessions(faulty)),
    ("reap_sessions", |faulty| faulty.store().reap_sessions(at(2), at(2))),
    ("create_refresh_token", |faulty| create_refresh_token(faulty)),
    ("rotate_refresh_token", |faulty| rotate(faulty, "fresh")),
    ("rotate_refresh_token, reused", |faulty| rotate(faulty, "spent")),
    ("end_refresh_family", |faulty| end_family(faulty)),
    ("reap_refresh_tokens", |faulty| faulty.store().reap_refresh_tokens(at(2000))),
    ("create_api_key", |faulty| faulty.store().create_api_key(&api_key("new", "alice"), 9)),
    ("revoke a session", |faulty| revoke(faulty, session_target("one"), RevocationCause::Logout)),
    ("revoke a user", |faulty| revoke(
        faulty,
        user_target("alice", at(50), Some("two")),
        RevocationCause::Administrator
    )),
    ("revoke another issuer's session", |faulty| revoke(faulty, issuers_session(), RevocationCause::Logout)),
    ("reap_revocations", |faulty| faulty.store().reap_revocations(UnixTime::MAX)),
    ("remember_addresses", |faulty| remember_addresses(faulty)),
    ("reap_known_addresses", |faulty| faulty.store().reap_known_addresses(UnixTime::MAX)),
    ("append_audit", |faulty| append_audit(faulty)),
    ("reap_audit", |faulty| faulty.audit().reap_audit(UnixTime::MAX, UnixTime::MAX)),
];

fn hash(text: &str) -> PasswordHash {
    PasswordHash::from_phc(format!("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA${text}"))
}

async fn change(faulty: &dyn FaultyStore, change: UserChange) -> Result<impl std::fmt::Debug, StoreError> {
    faulty.store().change_user(&user_id("alice"), &change, times(at(50))).await
}

async fn upgrade(faulty: &dyn FaultyStore) -> Result<bool, StoreError> {
    faulty.store().upgrade_password_hash(&user_id("alice"), &hash("YQ"), &hash("Yw")).await
}

async fn revoke(
    faulty: &dyn FaultyStore,
    target: RevocationTarget,
    cause: RevocationCause,
) -> Result<impl std::fmt::Debug, StoreError> {
    faulty.store().revoke(&revocation(target, cause, at(50))).await
}

fn issuers_session() -> RevocationTarget {
    let session = IssuerSessionId::new("theirs").expect("a valid id");
    RevocationTarget::IssuerSession(IssuerName::new("idp").expect("a valid name"), session)
}

async fn create_refresh_token(faulty: &dyn FaultyStore) -> Result<impl std::fmt::Debug, StoreError> {
    faulty.store().create_refresh_token(&refresh_token("new", &session("one", "alice", at(0)))).await
}

/// Two that are there and one that is not.
async fn touch_sessions(faulty: &dyn FaultyStore) -> Result<u64, StoreError> {
    let uses = [("one", 99), ("none", 99), ("bobs", 98)].map(|(id, seen)| (session_id(id), at(seen)));
    faulty.store().touch_sessions(&uses).await
}

/// Replaces one session, ends another that is one too many, and starts a third with its refresh token.
async fn start_session(faulty: &dyn FaultyStore) -> Result<impl std::fmt::Debug, StoreError> {
    let session = session("new", "alice", at(50));
    let new = NewSession {
        session: &session,
        refresh_token: &refresh_token("new", &session),
        refresh_family: secret("new-family"),
        proven: (&user("alice"), &hash("YQ")),
        replaces: Some(&session_id("bobs")),
        most: 2,
        revocation: times(at(50)),
    };
    faulty.store().start_session(&new).await
}

async fn rotate(faulty: &dyn FaultyStore, presented: &str) -> Result<impl std::fmt::Debug, StoreError> {
    faulty.store().rotate_refresh_token(&rotation(presented)).await
}

fn rotation(presented: &str) -> RefreshRotation {
    let successor = format!("{presented}-next");
    RefreshRotation {
        presented: secret(presented),
        family: secret("family"),
        successor: refresh_token(&successor, &session("one", "alice", at(0))),
        sealed_successor: b"sealed".to_vec(),
        now: at(500),
        used_at: at(500),
        retry_window: Duration::ZERO,
        forget_reuse_at: at(9999),
    }
}

/// One more than a user may have: the oldest goes.
async fn remember_addresses(faulty: &dyn FaultyStore) -> Result<(), StoreError> {
    let bounds = KnownAddressBounds { per_user: 2, ..KnownAddressBounds::default() };
    faulty.store().remember_addresses(&[address(2), address(3)], bounds).await
}

fn address(n: u8) -> KnownAddress {
    KnownAddress { user: user_id("alice"), address: HashedAddress::from_bytes([n; 32]), seen_at: at(i64::from(n)) }
}

async fn end_family(faulty: &dyn FaultyStore) -> Result<impl std::fmt::Debug, StoreError> {
    faulty.store().end_refresh_family(&secret("family"), times(at(50))).await
}

async fn append_audit(faulty: &dyn FaultyStore) -> Result<(), StoreError> {
    let entry = |number| AuditEntry { number, at: at(1), line: format!("{{\"number\":{number}}}") };
    let head = ChainHead { number: 3, mac: [3; 32] };
    faulty.audit().append_audit("store", &head, &[entry(2), entry(3)]).await
}

/// What every operation starts from.
async fn fill(faulty: &dyn FaultyStore) {
    let store = faulty.store();
    let works = "the store works";
    for id in ["alice", "bob"] {
        store.create_user(&user(id), Some(&hash("YQ"))).await.expect(works);
    }
    for (id, of, began) in [("one", "alice", 0), ("two", "alice", 5), ("bobs", "bob", 1)] {
        store.create_session(&session(id, of, at(began))).await.expect(works);
    }
    let fresh = refresh_token("fresh", &session("one", "alice", at(0)));
    let spent = RefreshToken {
        state: RefreshState::Spent { at: at(1), successor: secret("fresh"), sealed_successor: Vec::new() },
        ..refresh_token("spent", &session("one", "alice", at(0)))
    };
    for token in [fresh, spent] {
        store.create_refresh_token(&token).await.expect(works);
    }
    let rotation = RefreshRotation { retry_window: Duration::MAX, ..rotation("familiar") };
    let familiar = refresh_token("familiar", &session("two", "alice", at(5)));
    store.create_refresh_token(&familiar).await.expect(works);
    store.rotate_refresh_token(&rotation).await.expect(works);
    store.create_api_key(&api_key("key", "alice"), 9).await.expect(works);
    store.ban_user(&user_id("idp:8"), times(at(1))).await.expect(works);
    store.remember_addresses(&[address(1)], KnownAddressBounds::default()).await.expect(works);
    let head = ChainHead { number: 1, mac: [1; 32] };
    let entry = AuditEntry { number: 1, at: at(0), line: "{}".to_owned() };
    faulty.audit().append_audit("store", &head, &[entry]).await.expect(works);
}

/// All that can be seen from outside.
async fn everything(faulty: &dyn FaultyStore) -> String {
    let store = faulty.store();
    let works = "the store can be read";
    let mut seen = String::new();
    let mut note = |what: &dyn std::fmt::Debug| writeln!(seen, "{what:?}").expect("a string takes it");
    for User { id, .. } in store.users(None, 100).await.expect(works) {
        let (user, password) = store.user_with_password(&id).await.expect(works).expect("it is listed");
        note(&(user, password.map(|hash| hash.as_phc().to_owned())));
        note(&store.sessions_of(&id, None, 100).await.expect(works));
    }
    for name in ["fresh", "fresh-next", "spent", "familiar", "familiar-next", "new"] {
        note(&store.refresh_token(&secret(name)).await.expect(works));
    }
    note(&store.api_keys(None).await.expect(works));
    note(&store.banned_users(None, 100).await.expect(works));
    note(&store.known_addresses(100).await.expect(works));
    note(&store.revocations().await.expect(works));
    note(&faulty.audit().audit_entries(0, 100).await.expect(works));
    note(&faulty.audit().audit_head("store").await.expect(works));
    seen
}

/// Run each operation with each of its writes failing once in each of the ways that `faults` names; `make` makes an empty store.
pub async fn every_write_fails_once<F: FaultyStore>(faults: &[&'static str], make: impl AsyncFn() -> F) {
    for (name, run) in OPERATIONS {
        let whole = make().await;
        fill(&whole).await;
        let expected = run(&whole).await.expect("the store works");
        let after = everything(&whole).await;

        for fault in faults {
            let mut failed = 0;
            loop {
                let faulty = make().await;
                fill(&faulty).await;
                let before = everything(&faulty).await;
                if !faulty.break_at(fault, failed).await {
                    break;
                }
                let outcome = run(&faulty).await;
                faulty.mend().await;
                let case = format!("{name}, {fault} at write {failed}");
                match outcome {
                    Ok(outcome) => {
                        assert_eq!((outcome, everything(&faulty).await), (expected.clone(), after.clone()), "{case}");
                        break;
                    }
                    Err(_) => assert_eq!(everything(&faulty).await, before, "{case}: it failed, so nothing happened"),
                }
                let again = run(&faulty).await;
                assert_eq!(again.expect(&case), expected, "{case}: the fault is gone");
                assert_eq!(everything(&faulty).await, after, "{case}: the fault is gone");
                failed += 1;
            }
            assert!(failed > 0, "{name}: no write of it was met by {fault}");
        }
    }
}

/// Run each operation with each of its statements failing once, reads and the end of a transaction included, at as many points of it as
/// `fault` knows; `make` makes an empty store. One store goes through all failures of an operation and then does it.
pub async fn every_statement_fails_once<F: FaultyStore>(fault: &'static str, make: impl AsyncFn() -> F) {
    for (name, run) in OPERATIONS {
        let whole = make().await;
        fill(&whole).await;
        let expected = run(&whole).await.expect("the store works");
        let after = everything(&whole).await;

        let faulty = make().await;
        fill(&faulty).await;
        let before = everything(&faulty).await;
        let mut failed = 0;
        loop {
            assert!(faulty.break_at(fault, failed).await, "{name}: {fault} knows each point");
            let outcome = run(&faulty).await;
            faulty.mend().await;
            let case = format!("{name}, {fault} at point {failed}");
            match outcome {
                Ok(outcome) => {
                    assert_eq!((outcome, everything(&faulty).await), (expected, after), "{case}: it did not fail");
                    break;
                }
                Err(_) => assert_eq!(everything(&faulty).await, before, "{case}: it failed, so nothing happened"),
            }
            failed += 1;
        }
        assert!(failed > 3, "{name}: {fault} met it at {failed} points only");
    }
}
