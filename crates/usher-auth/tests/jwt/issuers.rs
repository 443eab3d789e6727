//! Several issuers side by side: whose keys, whose users, and what is known of them (req F9, F15, G2, G8).

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use usher_auth::UnixTime;
use usher_auth::ids::{IssuerName, Role, SessionId};
use usher_auth::jwt::{
    Algorithm, ClaimError, InvalidIssuerRules, InvalidVerifier, IssuerRules, KeySet, TokenError, TokenVerifier,
    TrustedIssuer,
};
use usher_auth::permit::CredentialFacts;
use usher_auth::revocation::{Revocation, RevocationCause, RevocationIndex, RevocationTarget};

use crate::support::{AUDIENCE, ED25519, NOW, OTHER_P256, P256, TestKey, claims_with, jwks, rules, verifier, verify};

const A: &str = "https://a.example";
const B: &str = "https://b.example";
const OURS: &str = "https://usher.example";

fn name(text: &str) -> IssuerName {
    IssuerName::new(text).unwrap()
}

fn rules_of(issuer_name: &str, issuer: &str) -> IssuerRules {
    let mut rules = rules(&[Algorithm::ES256]);
    rules.name = Some(name(issuer_name));
    issuer.clone_into(&mut rules.issuer);
    rules
}

fn keys(key: &TestKey, id: &str) -> KeySet {
    KeySet::from_jwks(&jwks(&[key.jwk_with(json!({"kid": id}))]), &[Algorithm::ES256, Algorithm::EdDSA]).unwrap()
}

fn issuer_a() -> TrustedIssuer {
    TrustedIssuer::new(rules_of("a", A), keys(&P256, "k1"))
}

fn issuer_b() -> TrustedIssuer {
    TrustedIssuer::new(rules_of("b", B), keys(&OTHER_P256, "k1"))
}

fn ours() -> TrustedIssuer {
    let rules = IssuerRules::own(OURS.to_owned(), AUDIENCE.to_owned(), Duration::from_secs(5));
    TrustedIssuer::new(rules, keys(&ED25519, "k1"))
}

fn token(key: &TestKey, changes: Value) -> String {
    key.sign(json!({"kid": "k1", "typ": "at+jwt"}), &claims_with(changes))
}

#[test]
fn a_key_vouches_for_its_own_issuer_only() {
    // req F9
    let verifier = verifier(vec![issuer_a(), issuer_b(), ours()]);
    assert!(verify(&verifier, &token(&P256, json!({"iss": A}))).is_ok());
    assert!(verify(&verifier, &token(&OTHER_P256, json!({"iss": B}))).is_ok());
    assert!(verify(&verifier, &token(&ED25519, json!({"iss": OURS}))).is_ok());
    assert_eq!(verify(&verifier, &token(&P256, json!({"iss": B}))), Err(TokenError::WrongSignature));
    assert_eq!(verify(&verifier, &token(&OTHER_P256, json!({"iss": A}))), Err(TokenError::WrongSignature));
    assert_eq!(verify(&verifier, &token(&P256, json!({"iss": OURS}))), Err(TokenError::KeyNotForAlgorithm));
    assert_eq!(verify(&verifier, &token(&ED25519, json!({"iss": A}))), Err(TokenError::AlgorithmNotAllowed));
}

#[test]
fn the_same_subject_of_two_issuers_is_two_users() {
    // req F15
    let verifier = verifier(vec![issuer_a(), issuer_b(), ours()]);
    let user = |key: &TestKey, issuer: &str, subject: &str| {
        let verified = verify(&verifier, &token(key, json!({"iss": issuer, "sub": subject}))).unwrap();
        (verified.user().as_str().to_owned(), verified.name().to_owned())
    };
    assert_eq!(user(&P256, A, "alice"), ("a:alice".to_owned(), "alice".to_owned()));
    assert_eq!(user(&OTHER_P256, B, "alice"), ("b:alice".to_owned(), "alice".to_owned()));
    assert_eq!(user(&ED25519, OURS, "alice"), ("alice".to_owned(), "alice".to_owned()));
    // Whatever a subject contains, it stays what its issuer said of somebody of its own.
    for subject in ["b:alice", "anonymous:x", ":alice", "alice@a.example@b.example", "admin@usher.example"] {
        assert_eq!(user(&P256, A, subject).0, format!("a:{subject}"));
    }
    // Email and username name nobody.
    let email = token(&P256, json!({"iss": A, "email": "bob@a.example", "preferred_username": "bob", "upn": "bob"}));
    assert_eq!(verify(&verifier, &email).unwrap().user().as_str(), "a:alice");
    for subject in ["b:alice", "anonymous:x"] {
        let error = verify(&verifier, &token(&ED25519, json!({"iss": OURS, "sub": subject}))).unwrap_err();
        assert!(matches!(error, TokenError::Subject(_)), "{error}");
    }
    for subject in ["a b", "a\u{7}", "a\u{2029}b", &"x".repeat(255)] {
        let error = verify(&verifier, &token(&P256, json!({"iss": A, "sub": subject}))).unwrap_err();
        assert!(matches!(error, TokenError::Subject(_)), "{error}");
    }
    for subject in [json!(""), json!(7), json!(["alice"])] {
        let error = verify(&verifier, &token(&P256, json!({"iss": A, "sub": subject}))).unwrap_err();
        assert_eq!(error, TokenError::Claim(ClaimError::Malformed("sub")));
    }
}

#[test]
fn an_operator_may_say_that_subjects_are_local() {
    // req F15
    let mut local = rules_of("a", A);
    local.subject = "{sub}".parse().unwrap();
    let verifier = verifier(vec![TrustedIssuer::new(local, keys(&P256, "k1")), issuer_b(), ours()]);
    let user = |subject: &str| {
        verify(&verifier, &token(&P256, json!({"iss": A, "sub": subject}))).map(|token| token.user().clone())
    };
    assert_eq!(user("alice").unwrap().as_str(), "alice");
    for subject in ["b:alice", "anonymous:x", "a:alice", ":"] {
        assert!(matches!(user(subject), Err(TokenError::Subject(_))), "{subject}");
    }
}

#[test]
fn issuers_that_could_speak_for_each_other_are_refused() {
    // req F9, F15
    let with = |subject: &str, issuer_name: &str, issuer: &str| {
        let mut rules = rules_of(issuer_name, issuer);
        rules.subject = subject.parse().unwrap();
        TrustedIssuer::new(rules, keys(&P256, "k1"))
    };
    let refused = |issuers: Vec<TrustedIssuer>| TokenVerifier::new(issuers, BTreeSet::new()).unwrap_err();
    assert_eq!(
        refused(vec![issuer_a(), TrustedIssuer::new(rules_of("b", A), keys(&P256, "k1"))]),
        InvalidVerifier::SameIssuer(A.to_owned())
    );
    assert_eq!(
        refused(vec![issuer_a(), TrustedIssuer::new(rules_of("a", B), keys(&P256, "k1"))]),
        InvalidVerifier::SameName(Some(name("a")))
    );
    let mut our_second = IssuerRules::own(B.to_owned(), AUDIENCE.to_owned(), Duration::ZERO);
    our_second.leeway = Duration::ZERO;
    assert_eq!(
        refused(vec![ours(), TrustedIssuer::new(our_second, keys(&P256, "k1"))]),
        InvalidVerifier::SameName(None)
    );
    let shared = |one: &str, two: &str| InvalidVerifier::SharedNamespace(name(one), name(two));
    assert_eq!(refused(vec![issuer_a(), with("a:{sub}", "b", B)]), shared("b", "a"));
    assert_eq!(refused(vec![with("b:x-{sub}", "a", A), issuer_b()]), shared("b", "a"));
    assert_eq!(refused(vec![with("corp:{sub}", "a", A), with("corp:{sub}", "b", B)]), shared("b", "a"));
    assert_eq!(refused(vec![with("{sub}", "a", A), with("x-{sub}", "b", B)]), shared("b", "a"));
    // The name stays reserved where its issuer's subjects go elsewhere.
    assert_eq!(refused(vec![with("{sub}", "a", A), with("a:{sub}", "b", B)]), shared("b", "a"));
    let mut nameless = rules_of("c:d", A);
    nameless.issuer.clear();
    let error = refused(vec![TrustedIssuer::new(nameless, KeySet::default())]);
    assert!(matches!(error, InvalidVerifier::Rules { source: InvalidIssuerRules::ColonInName, .. }));
    assert!(TokenVerifier::new(vec![with("corp:{sub}", "a", A), issuer_b(), ours()], BTreeSet::new()).is_ok());
}

#[test]
fn keys_come_and_go() {
    // req G2, G3: until there are keys, and whenever a token names one that is not there, the caller is told whose to fetch.
    let verifier = verifier(vec![TrustedIssuer::new(rules_of("a", A), KeySet::default()), ours()]);
    let issuer = verifier.issuer(Some(&name("a"))).unwrap();
    let unknown = || Err(TokenError::UnknownKey { issuer: Some(name("a")) });
    let with = |key: &TestKey, kid: &str| key.sign(json!({"kid": kid}), &claims_with(json!({"iss": A})));
    assert_eq!(verify(&verifier, &with(&P256, "k1")), unknown());
    assert_eq!(verify(&verifier, &P256.sign(json!({}), &claims_with(json!({"iss": A})))), unknown());
    issuer.replace_keys(keys(&P256, "k1"));
    assert_eq!(issuer.generation(), 1);
    assert!(verify(&verifier, &with(&P256, "k1")).is_ok());
    assert_eq!(verify(&verifier, &with(&OTHER_P256, "k2")), unknown());
    for kid in 0..100 {
        assert_eq!(verify(&verifier, &with(&OTHER_P256, &format!("random-{kid}"))), unknown());
    }
    // A forged signature under a known key is no reason to fetch anything.
    assert_eq!(verify(&verifier, &with(&OTHER_P256, "k1")), Err(TokenError::WrongSignature));
    issuer.replace_keys(keys(&OTHER_P256, "k2"));
    assert!(verify(&verifier, &with(&OTHER_P256, "k2")).is_ok());
    assert_eq!(verify(&verifier, &with(&P256, "k1")), unknown(), "a key that was removed is gone at once");
    issuer.drop_keys();
    assert_eq!((issuer.generation(), issuer.keys().len()), (3, 0));
    assert_eq!(verify(&verifier, &with(&OTHER_P256, "k2")), unknown());

    let own_token = ED25519.sign(json!({"kid": "old", "typ": "at+jwt"}), &claims_with(json!({"iss": OURS})));
    assert_eq!(verify(&verifier, &own_token), Err(TokenError::UnknownKey { issuer: None }));
    assert!(verifier.issuer(None).is_some_and(|own| own.name().is_none()));
    assert!(verifier.issuer(Some(&name("c"))).is_none());
}

#[test]
fn what_is_known_of_a_bearer() {
    let mut a = rules_of("a", A);
    a.roles_claim = Some("realm_access.roles".to_owned());
    a.default_roles = vec![Role::new("user").unwrap(), Role::new("guest").unwrap()];
    let kept = ["team", "org.unit", "level", "absent", "deep"].map(str::to_owned).into();
    let verifier =
        TokenVerifier::new(vec![TrustedIssuer::new(a, keys(&P256, "k1")), issuer_b(), ours()], kept).unwrap();
    let verified = verify(
        &verifier,
        &token(
            &P256,
            json!({
                "iss": A, "name": "Alice A.", "roles": ["admin"], "sid": "ses_1",
                "realm_access": {"roles": ["user", "editor", "not a role", 7, "user"]},
                "team": ["red", "blue"], "org": {"unit": "x"}, "level": 3, "deep": {"a": 1}, "secret": "not kept",
            }),
        ),
    )
    .unwrap();
    assert_eq!(verified.issuer(), Some(&name("a")));
    assert_eq!(verified.name(), "Alice A.");
    assert_eq!(verified.roles(), ["editor", "guest", "user"].map(|role| Role::new(role).unwrap()));
    let claims: Vec<(&str, Vec<&str>)> = verified
        .claims()
        .iter()
        .map(|(name, values)| (name.as_str(), values.iter().map(String::as_str).collect()))
        .collect();
    assert_eq!(claims, [("level", vec!["3"]), ("org.unit", vec!["x"]), ("team", vec!["red", "blue"])]);
    assert_eq!(verified.session(), None, "a session id is ours to give");
    // Without a roles claim in the rules, the token's word gives no role.
    let b = verify(&verifier, &token(&OTHER_P256, json!({"iss": B, "roles": ["admin"]}))).unwrap();
    assert!(b.roles().is_empty());
    // Ours: from `roles`, and a session id that is one.
    let own = verify(&verifier, &token(&ED25519, json!({"iss": OURS, "roles": ["user"], "sid": "ses_1"}))).unwrap();
    assert_eq!(
        (own.roles(), own.session()),
        (&[Role::new("user").unwrap()][..], Some(&SessionId::new("ses_1").unwrap()))
    );
    for sid in [json!(7), json!(""), json!("a b")] {
        let error = verify(&verifier, &token(&ED25519, json!({"iss": OURS, "sid": sid}))).unwrap_err();
        assert_eq!(error, TokenError::Claim(ClaimError::Malformed("sid")));
    }
}

#[test]
fn an_issuers_own_names_for_user_and_session_are_kept() {
    // req H16: a log-out at the issuer names its `sid` or its `sub`, to the letter.
    let mut a = rules_of("a", A);
    a.subject = "corp:{sub}@example".parse().unwrap();
    let verifier = TokenVerifier::new(vec![TrustedIssuer::new(a, keys(&P256, "k1")), ours()], BTreeSet::new()).unwrap();
    let issued_by = |claims: Value| {
        let verified = verify(&verifier, &token(&P256, claims)).unwrap();
        let names = verified.issued_by().unwrap();
        assert_eq!((&names.issuer, names.subject.as_str()), (&name("a"), "auth0|117"));
        names.session.as_ref().map(|session| session.as_str().to_owned())
    };
    assert_eq!(issued_by(json!({"iss": A, "sub": "auth0|117"})), None);
    for sid in ["08a5019c", "a b\u{0}\n", "é"] {
        assert_eq!(issued_by(json!({"iss": A, "sub": "auth0|117", "sid": sid})).as_deref(), Some(sid));
    }
    // No text: no log-out token can name it either, and the access token is as good as before.
    for sid in [json!(7), json!(null), json!(""), json!({"a": 1})] {
        assert_eq!(issued_by(json!({"iss": A, "sub": "auth0|117", "sid": sid})), None);
    }
    let own = verify(&verifier, &token(&ED25519, json!({"iss": OURS, "sid": "ses_1"}))).unwrap();
    assert_eq!(own.issued_by(), None, "our own sessions have ids of ours");
}

#[test]
fn a_revoked_token_stays_revoked_in_another_form() {
    // req G8: ECDSA has two signatures for each; the other one makes another text of the same token.
    let verifier = verifier(vec![issuer_a()]);
    let token = token(&P256, json!({"iss": A}));
    let twin = with_other_s(&token);
    assert_ne!(token, twin);
    let mut revoked = RevocationIndex::default();
    let facts = |token: &str| {
        let verified = verify(&verifier, token).unwrap();
        CredentialFacts {
            user: verified.user().clone(),
            session: verified.session().cloned(),
            token: verified.token_id().cloned().map(|id| (verified.issuer().cloned(), id)),
            api_key: None,
            issued_by: None,
            issued_at: verified.issued_at(),
            roles_read_at: None,
        }
    };
    assert_eq!(revoked.check(&facts(&token)), None);
    let (issuer, id) = facts(&token).token.unwrap();
    revoked.insert(&Revocation {
        target: RevocationTarget::Token(issuer, id),
        cause: RevocationCause::Administrator,
        at: UnixTime::from_seconds(NOW),
        forget_at: UnixTime::from_seconds(NOW + 660),
    });
    for form in [&token, &twin] {
        assert_eq!(revoked.check(&facts(form)), Some(RevocationCause::Administrator));
    }
    for padded in [format!("{token}="), format!("{twin}=="), format!("{token}\n")] {
        assert!(verify(&verifier, &padded).is_err());
    }
}

/// The same token with the signature (r, n − s), n being the order of P-256.
fn with_other_s(token: &str) -> String {
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6,
        0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let (message, signature) = token.rsplit_once('.').unwrap();
    let mut signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let mut borrow = 0;
    for index in (0..32).rev() {
        let difference = i16::from(ORDER[index]) - i16::from(signature[32 + index]) - borrow;
        borrow = i16::from(difference < 0);
        signature[32 + index] = u8::try_from(difference + 256 * borrow).unwrap();
    }
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}
