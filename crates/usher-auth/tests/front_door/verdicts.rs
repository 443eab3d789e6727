//! From a credential and what was looked up about it to a permit: revoked, disabled, deleted and expired hold for every kind.

use std::collections::BTreeMap;
use std::time::Duration;

use usher_auth::api_key::ApiKey;
use usher_auth::carriers::Carrier;
use usher_auth::ids::{ConnectionId, IssuerName, Role, TokenId, UserId};
use usher_auth::permit::{CredentialFacts, Principal};
use usher_auth::refusal::{Refusal, RefusalKind};
use usher_auth::revocation::{BlockedUser, Revocation, RevocationCause, RevocationIndex, RevocationTarget};
use usher_auth::route::RouteRules;
use usher_auth::session::{Session, SessionLimits};
use usher_auth::test_util::{UnboughtTicket, UnverifiedToken, session_key, visitor};
use usher_auth::user::User;
use usher_auth::verify::{self, Circumstances};
use usher_auth::{Now, Permit, UnixTime};

use crate::scene::{SECOND, START, api_key, just_before, route, session, user};

const LIMITS: SessionLimits = SessionLimits { idle: SECOND.saturating_mul(60), absolute: SECOND.saturating_mul(3600) };

fn at(now: Now, revoked: &RevocationIndex) -> Circumstances<'_> {
    Circumstances { carrier: Carrier::Header, now, revoked }
}

fn revoked(target: RevocationTarget, cause: RevocationCause) -> RevocationIndex {
    let mut index = RevocationIndex::default();
    index.insert(&Revocation { target, cause, at: START.unix, forget_at: UnixTime::MAX });
    index
}

/// What is remembered when everything that a user has now ends for `cause`: the user, and each session and key by its id.
fn everything_of(user: &User, cause: RevocationCause) -> RevocationIndex {
    let mut index =
        revoked(RevocationTarget::User { user: user.id.clone(), issued_before: START.unix, except: None }, cause);
    let mut also = |target| index.insert(&Revocation { target, cause, at: START.unix, forget_at: UnixTime::MAX });
    also(RevocationTarget::Session(session(user).id));
    if cause.removes_api_keys() {
        also(RevocationTarget::ApiKey(api_key(user).id));
    }
    if blocks(cause) {
        index.block(&BlockedUser { user: user.id.clone(), cause });
    }
    index
}

fn blocks(cause: RevocationCause) -> bool {
    matches!(cause, RevocationCause::UserDisabled | RevocationCause::UserBanned)
}

fn refused(verdict: Result<Permit, Refusal>) -> RefusalKind {
    verdict.expect_err("no permit").kind()
}

fn token(issuer: Option<&str>) -> UnverifiedToken {
    let user = user("alice");
    UnverifiedToken {
        user: user.id.clone(),
        issuer: issuer.map(|name| IssuerName::new(name).expect("a name")),
        name: user.name.clone(),
        roles: user.roles.clone(),
        claims: BTreeMap::from([("team".to_owned(), vec!["blue".to_owned()])]),
        token_id: Some(TokenId::new("jti-1").expect("an id")),
        session: issuer.is_none().then(|| session(&user).id),
        issued_by: None,
        issued_at: START.unix,
        skew: if issuer.is_some() { 30 * SECOND } else { Duration::ZERO },
        expires_at: START.unix.plus(60 * SECOND),
        key_id: Some("k1".to_owned()),
    }
}

fn ticket() -> UnboughtTicket {
    let user = user("alice");
    UnboughtTicket {
        principal: Principal {
            id: user.id.clone(),
            name: user.name.clone(),
            roles: user.roles.clone(),
            claims: BTreeMap::new(),
            anonymous: false,
        },
        credential: CredentialFacts {
            user: user.id.clone(),
            session: Some(session(&user).id),
            token: None,
            api_key: None,
            issued_by: None,
            issued_at: START.unix,
            roles_read_at: Some(START.unix),
        },
        credential_expires_at: Some(START.unix.plus(3600 * SECOND)),
        expires_at: START.unix.plus(30 * SECOND),
        origin: None,
        path: None,
    }
}

/// Verifies one kind of credential of alice's, who may be gone, at a time, under these revocations.
type Verify = fn(Option<&User>, Now, &RevocationIndex) -> Result<Permit, Refusal>;

/// Each kind, all of which end 60 s after [`START`].
const KINDS: [(&str, Verify); 6] = [
    ("session", |user, now, revoked| {
        verify::session(&session(&crate::scene::user("alice")), user, now.unix, LIMITS, at(now, revoked))
    }),
    ("api key", |user, now, revoked| {
        let end = Some(START.unix.plus(60 * SECOND));
        let key = ApiKey { expires_at: end, ..api_key(&crate::scene::user("alice")) };
        verify::api_key(&key, None, user, now.unix, at(now, revoked))
    }),
    ("token", |_, now, revoked| verify::token(token(None), at(now, revoked))),
    ("a user's token", |_, now, revoked| {
        verify::token_of(token(None), &crate::scene::user("alice").id, at(now, revoked))
    }),
    ("session key", |user, now, revoked| {
        let session = session(&crate::scene::user("alice"));
        let key = session_key(&session.user, &session.id);
        let session = verify::session_of_key(&key, key.user(), Some(session))?;
        verify::session(&session, user, now.unix, LIMITS, at(now, revoked))
    }),
    ("ticket", |_, now, revoked| {
        let end = START.unix.plus(60 * SECOND);
        verify::ticket(
            UnboughtTicket { credential_expires_at: Some(end), expires_at: end.plus(SECOND), ..ticket() }.into(),
            None,
            "/ws",
            at(now, revoked),
        )
    }),
];

#[test]
fn each_kind_gives_a_permit_that_says_who_how_and_until_when() {
    let alice = user("alice");
    for (kind, verify) in KINDS {
        let permit = verify(Some(&alice), START, &RevocationIndex::default()).expect(kind);
        assert_eq!(permit.principal().id, alice.id);
        assert_eq!(permit.principal().name, "ALICE");
        assert_eq!(permit.principal().roles, [Role::new("user").expect("a role")]);
        assert!(!permit.principal().anonymous);
        assert_eq!(permit.carrier(), Some(Carrier::Header));
        assert_eq!(permit.expires_at(), Some(START.unix.plus(60 * SECOND)), "{kind}");
        assert_eq!(permit.credential().user, alice.id);
        assert_eq!(permit.credential().issued_at, START.unix);
        let facts = permit.credential();
        let revocable_by = (facts.session.is_some(), facts.token.is_some(), facts.api_key.is_some());
        let expected = match kind {
            "api key" => (false, false, true),
            "token" | "a user's token" => (true, true, false),
            _ => (true, false, false),
        };
        assert_eq!(revocable_by, expected, "{kind}");
    }
}

#[test]
fn each_kind_ends_at_its_end() {
    // req C6
    let alice = user("alice");
    let none = RevocationIndex::default();
    for (kind, verify) in KINDS {
        assert!(verify(Some(&alice), START.after(just_before(60 * SECOND)), &none).is_ok(), "{kind}");
        assert_eq!(refused(verify(Some(&alice), START.after(60 * SECOND), &none)), RefusalKind::Expired, "{kind}");
    }
}

#[test]
fn each_kind_ends_with_a_revocation_of_its_user() {
    // req C6, D6
    let alice = user("alice");
    for (kind, verify) in KINDS {
        for cause in RevocationCause::ALL.into_iter().filter(|cause| cause.ends_sessions()) {
            let index = everything_of(&alice, cause);
            if kind == "api key" && !cause.removes_api_keys() && !blocks(cause) {
                // A key has a revocation of its own, and goes else only with its owner.
                assert!(verify(Some(&alice), START, &index).is_ok(), "{kind} {cause:?}");
                continue;
            }
            let expected = match cause {
                RevocationCause::UserDeleted => RefusalKind::UserNotFound,
                _ => RefusalKind::Unauthorized,
            };
            assert_eq!(refused(verify(Some(&alice), START, &index)), expected, "{kind} {cause:?}");
            // Revoked beats expired: what was ended is not to be renewed.
            assert_eq!(refused(verify(Some(&alice), START.after(60 * SECOND), &index)), expected, "{kind} {cause:?}");
        }
        let bob = RevocationTarget::User { user: user("bob").id, issued_before: START.unix, except: None };
        let bobs = revoked(bob, RevocationCause::Administrator);
        assert!(verify(Some(&alice), START, &bobs).is_ok(), "{kind}: bob's revocation is not alice's");
    }
}

#[test]
fn a_clock_that_is_ahead_carries_no_token_past_a_revocation() {
    // req H3: the issuer's clock is 20 s ahead, which its leeway allows.
    let alice = user("alice");
    let token = UnverifiedToken { issued_at: START.unix.plus(20 * SECOND), ..token(Some("idp")) };
    let target = RevocationTarget::User { user: alice.id, issued_before: START.unix, except: None };
    let index = revoked(target, RevocationCause::LogoutEverywhere);
    for now in [START, START.after(25 * SECOND)] {
        assert_eq!(refused(verify::token(token.clone(), at(now, &index))), RefusalKind::Unauthorized);
    }
}

#[test]
fn other_roles_end_what_says_that_they_are_the_old_ones() {
    // req H3
    let alice = user("alice");
    let changed_at = START.unix.plus(10 * SECOND);
    let target = RevocationTarget::User { user: alice.id.clone(), issued_before: changed_at, except: None };
    let index = revoked(target, RevocationCause::RolesChanged);
    for (kind, verify) in KINDS {
        let verdict = verify(Some(&alice), START.after(20 * SECOND), &index);
        match kind {
            // Looked up after the change.
            "session" | "session key" | "api key" => assert!(verdict.is_ok(), "{kind}"),
            _ => assert_eq!(refused(verdict), RefusalKind::Expired, "{kind}: the next one has the new roles"),
        }
        let stale = verify(Some(&alice), START, &index);
        assert_eq!(refused(stale), RefusalKind::Expired, "{kind}: looked up before the change");
    }
    // Another issuer's roles are not ours to change.
    assert!(verify::token(token(Some("idp")), at(START, &index)).is_ok());
}

#[test]
fn what_belongs_to_a_session_ends_with_it() {
    // req D6: the cookie, the access tokens and the tickets bought with it; an API key belongs to none.
    let alice = user("alice");
    let index = revoked(RevocationTarget::Session(session(&alice).id), RevocationCause::Logout);
    for (kind, verify) in KINDS {
        let verdict = verify(Some(&alice), START, &index);
        if kind == "api key" {
            assert!(verdict.is_ok());
        } else {
            assert_eq!(refused(verdict), RefusalKind::Unauthorized, "{kind}");
        }
    }
}

#[test]
fn a_token_is_revoked_by_its_id_for_its_issuer_alone() {
    // req G8
    let ours =
        revoked(RevocationTarget::Token(None, TokenId::new("jti-1").expect("an id")), RevocationCause::Administrator);
    assert_eq!(refused(verify::token(token(None), at(START, &ours))), RefusalKind::Unauthorized);
    assert!(verify::token(token(Some("google")), at(START, &ours)).is_ok());
}

#[test]
fn a_key_is_revoked_by_its_id() {
    let alice = user("alice");
    let index = revoked(RevocationTarget::ApiKey(api_key(&alice).id), RevocationCause::KeyRevoked);
    let verdict = verify::api_key(&api_key(&alice), None, Some(&alice), START.unix, at(START, &index));
    assert_eq!(refused(verdict), RefusalKind::Unauthorized);
}

#[test]
fn a_local_user_who_is_gone_or_disabled_is_let_in_by_nothing() {
    // req C6, S5; also where no revocation is known any more.
    let none = RevocationIndex::default();
    let disabled = User { disabled: true, ..user("alice") };
    for (kind, verify) in KINDS.into_iter().filter(|(kind, _)| matches!(*kind, "session" | "session key" | "api key")) {
        assert_eq!(refused(verify(None, START, &none)), RefusalKind::UserNotFound, "{kind}");
        assert_eq!(refused(verify(Some(&disabled), START, &none)), RefusalKind::Unauthorized, "{kind}");
        // Nor does an old credential tell that it would have been good.
        assert_eq!(refused(verify(None, START.after(3600 * SECOND), &none)), RefusalKind::UserNotFound, "{kind}");
        assert_eq!(
            refused(verify(Some(&disabled), START.after(3600 * SECOND), &none)),
            RefusalKind::Unauthorized,
            "{kind}"
        );
    }
}

#[test]
fn a_session_ends_at_its_idle_or_its_absolute_limit() {
    // req J4
    let alice = user("alice");
    let seen = |after: u32| Session { last_seen_at: START.unix.plus(after * SECOND), ..session(&alice) };
    let end = |session: &Session, limits, now: Now| {
        let none = RevocationIndex::default();
        verify::session(session, Some(&alice), now.unix, limits, at(now, &none))
            .map(|permit| permit.expires_at().map(|end| end.since(START.unix)))
    };
    assert_eq!(end(&seen(0), LIMITS, START), Ok(Some(60 * SECOND)));
    assert_eq!(end(&seen(30), LIMITS, START.after(30 * SECOND)), Ok(Some(90 * SECOND)));
    assert_eq!(end(&seen(3590), LIMITS, START.after(3590 * SECOND)), Ok(Some(3600 * SECOND)));
    let over = end(&seen(3599), LIMITS, START.after(3600 * SECOND)).expect_err("over its absolute limit");
    assert_eq!(over.kind(), RefusalKind::Expired);
}

#[test]
fn a_key_is_its_owners_alone() {
    let (alice, bob) = (user("alice"), user("bob"));
    let none = RevocationIndex::default();
    let key = api_key(&alice);
    let claimed = |id: &UserId| verify::api_key(&key, Some(id), Some(&alice), START.unix, at(START, &none));
    assert_eq!(claimed(&alice.id).expect("her key").expires_at(), None);
    assert_eq!(refused(claimed(&bob.id)), RefusalKind::Unauthorized);
    assert_eq!(refused(claimed(&UserId::new("Alice").expect("an id"))), RefusalKind::Unauthorized);
}

#[test]
fn a_token_brings_its_claims_and_its_issuer() {
    let none = RevocationIndex::default();
    let permit = verify::token(token(Some("google")), at(START, &none)).expect("a permit");
    assert_eq!(permit.principal().claims["team"], ["blue"]);
    let (issuer, id) = permit.credential().token.clone().expect("a jti");
    assert_eq!(issuer.expect("an issuer").as_str(), "google");
    assert_eq!(id.as_str(), "jti-1");
    // A token without `jti` can be revoked by its user and session all the same.
    let bare = verify::token(UnverifiedToken { token_id: None, ..token(None) }, at(START, &none)).expect("a permit");
    assert_eq!(bare.credential().token, None);
}

#[test]
fn a_ticket_is_good_until_its_last_moment() {
    // req D4
    let none = RevocationIndex::default();
    let redeem = |now| verify::ticket(ticket().into(), None, "/ws", at(now, &none));
    let permit = redeem(START.after(just_before(30 * SECOND))).expect("still good");
    assert_eq!(permit.expires_at(), Some(START.unix.plus(3600 * SECOND)), "what its buyer's credential had left");
    assert_eq!(refused(redeem(START.after(30 * SECOND))), RefusalKind::SpentTicket);
    let endless = UnboughtTicket { credential_expires_at: None, ..ticket() }.into();
    assert_eq!(verify::ticket(endless, None, "/ws", at(START, &none)).expect("a permit").expires_at(), None);
}

#[test]
fn a_ticket_is_bound_to_what_it_was_given() {
    // req D5
    let none = RevocationIndex::default();
    let app = "https://app.example.com";
    for (origin, path, upgrade_origin, upgrade_path, good) in [
        (None, None, None, "/ws", true),
        (None, None, Some(app), "/anywhere", true),
        (Some(app), None, Some(app), "/ws", true),
        (Some(app), None, Some("https://evil.example"), "/ws", false),
        (Some(app), None, Some("https://APP.example.com"), "/ws", false),
        (Some(app), None, None, "/ws", false),
        (None, Some("/ws"), None, "/ws", true),
        (None, Some("/ws"), None, "/ws/", false),
        (None, Some("/ws"), Some(app), "/WS", false),
        (Some(app), Some("/ws"), Some(app), "/ws", true),
        (Some(app), Some("/ws"), Some(app), "/other", false),
        (Some(app), Some("/ws"), None, "/ws", false),
    ] {
        let bound = UnboughtTicket { origin: origin.map(str::to_owned), path: path.map(str::to_owned), ..ticket() };
        let verdict = verify::ticket(bound.into(), upgrade_origin, upgrade_path, at(START, &none));
        let case = format!("{origin:?} {path:?} at {upgrade_origin:?} {upgrade_path}");
        if good {
            assert!(verdict.is_ok(), "{case}");
        } else {
            let refusal = verdict.expect_err(&case);
            assert_eq!((refusal.kind(), refusal.status().as_u16()), (RefusalKind::TicketNotForHere, 403), "{case}");
        }
    }
}

#[test]
fn a_visitor_is_nobody_in_particular() {
    let id = ConnectionId::from_random([1; 16]);
    let visitors = RouteRules { anonymous: true, ..route(&[]) };
    let permit = verify::anonymous(&visitors, id, START).expect("the route lets visitors in");
    assert!(
        permit.principal().anonymous && permit.principal().roles.is_empty() && permit.principal().claims.is_empty()
    );
    assert_eq!((permit.carrier(), permit.expires_at()), (None, None));
    assert!(!permit.principal().id.is_local(), "no local user can be taken for a visitor");
    let other = verify::anonymous(&visitors, ConnectionId::from_random([2; 16]), START).expect("another one");
    assert_ne!(permit.principal().id, other.principal().id);
    let closed = RouteRules { anonymous: false, ..visitors };
    let refusal = verify::anonymous(&closed, id, START).expect_err("no route for visitors");
    assert_eq!((refusal.kind(), refusal.status().as_u16()), (RefusalKind::MissingCredential, 401));
}

#[test]
fn a_cap_only_shortens() {
    let none = RevocationIndex::default();
    let permit = verify::token(token(None), at(START, &none)).expect("a permit");
    let end = |limit: u32| permit.clone().capped_at(START.unix.plus(limit * SECOND)).expires_at();
    assert_eq!(end(10), Some(START.unix.plus(10 * SECOND)));
    assert_eq!(end(100), Some(START.unix.plus(60 * SECOND)));
    let endless = visitor(ConnectionId::from_random([1; 16]), START).capped_at(START.unix);
    assert_eq!(endless.expires_at(), Some(START.unix));
}

#[test]
fn a_credential_with_a_name_is_that_users_or_nobodys() {
    let (alice, bob) = (user("alice"), user("bob"));
    let none = RevocationIndex::default();
    let refusal = verify::token_of(token(None), &bob.id, at(START, &none)).expect_err("alice's token");
    assert_eq!(refusal.kind(), RefusalKind::Unauthorized);
    assert_eq!(refusal.holder().map(|holder| &holder.user), Some(&alice.id), "the audit knows whose it is");
    assert!(verify::token_of(token(None), &alice.id, at(START, &none)).is_ok());

    let of_alice = session(&alice);
    let key = session_key(&alice.id, &of_alice.id);
    for (claimed, found) in [
        (&bob.id, Some(of_alice.clone())),
        (&alice.id, None),
        (&alice.id, Some(Session { user: bob.id.clone(), ..of_alice.clone() })),
    ] {
        let refusal = verify::session_of_key(&key, claimed, found).expect_err("no such session of theirs");
        assert_eq!(refusal.kind(), RefusalKind::Unauthorized);
        assert_eq!(refusal.holder().map(|holder| &holder.user), Some(&alice.id));
    }
    assert_eq!(verify::session_of_key(&key, &alice.id, Some(of_alice.clone())), Ok(of_alice));
}
