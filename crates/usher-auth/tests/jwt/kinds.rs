//! Kinds of token: an access token is accepted where one is asked for, and nothing else is (req F11).

use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use serde_json::{Value, json};
use usher_auth::UnixTime;
use usher_auth::ids::{Role, SessionId, TokenId, UserId};
use usher_auth::jwt::{
    AccessTokenClaims, AccessTokenProfile, Algorithm, FormError, IssuerRules, KeyRing, SigningKey, TokenError,
    TokenProfile, TrustedIssuer, TypeError, generate_es256_pem,
};
use usher_auth::secret::{PlainToken, TokenKind};

use crate::support::{AUDIENCE, ISSUER, NOW, P256, claims_with, rules, trusting_by, verifier, verify};

fn verdict(profile: TokenProfile, header: &Value, changes: Value) -> Result<(), TokenError> {
    let mut rules = rules(&[Algorithm::ES256]);
    rules.profile = profile;
    let mut header = header.clone();
    header["kid"] = "k1".into();
    verify(&trusting_by(&P256, rules), &P256.sign(header, &claims_with(changes))).map(|_| ())
}

#[test]
fn the_type_in_the_header() {
    // req F11
    let (access_token, plain) = (TokenProfile::AccessToken, TokenProfile::Plain);
    for (header, as_access_token, as_plain) in [
        (json!({"typ": "at+jwt"}), true, true),
        (json!({"typ": "AT+JWT"}), true, true),
        (json!({"typ": "application/at+jwt"}), true, true),
        (json!({"typ": "JWT"}), false, true),
        (json!({"typ": "jwt"}), false, true),
        (json!({"typ": "application/jwt"}), false, true),
        (json!({}), false, true),
        (json!({"typ": ""}), false, false),
        (json!({"typ": "rt+jwt"}), false, false),
        (json!({"typ": "id+jwt"}), false, false),
        (json!({"typ": "logout+jwt"}), false, false),
        (json!({"typ": "application/logout+jwt"}), false, false),
        (json!({"typ": "dpop+jwt"}), false, false),
        (json!({"typ": "secevent+jwt"}), false, false),
        (json!({"typ": "oauth-authz-req+jwt"}), false, false),
        (json!({"typ": "token-introspection+jwt"}), false, false),
        (json!({"typ": "usher-assertion+jwt"}), false, false),
        (json!({"typ": "at+jwt "}), false, false),
        (json!({"typ": "at"}), false, false),
        (json!({"typ": "JOSE"}), false, false),
        (json!({"typ": "kb+jwt"}), false, false),
    ] {
        let expected = |good: bool| if good { Ok(()) } else { Err(TokenError::Type(TypeError::HeaderType)) };
        assert_eq!(verdict(access_token, &header, json!({})), expected(as_access_token), "{header}");
        assert_eq!(verdict(plain, &header, json!({})), expected(as_plain), "{header}");
    }
}

#[test]
fn the_kind_in_the_claims() {
    // req F11: issuers that write `typ: JWT` over everything say the kind in the payload.
    for (typ, profile) in [("JWT", TokenProfile::Plain), ("at+jwt", TokenProfile::AccessToken)] {
        let verdict = |changes: Value| verdict(profile, &json!({"typ": typ}), changes);
        for (name, kind) in
            [("typ", "Bearer"), ("typ", "at+jwt"), ("token_use", "access"), ("token_type", "access"), ("type", "user")]
        {
            assert_eq!(verdict(json!({name: kind})), Ok(()), "{name} {kind}");
        }
        for (name, kind) in [
            ("typ", json!("ID")),
            ("typ", json!("Refresh")),
            ("typ", json!("Offline")),
            ("typ", json!("Logout")),
            ("typ", json!("DPoP")),
            ("typ", json!(["Bearer"])),
            ("token_use", json!("id")),
            ("token_use", json!("refresh")),
            ("token_type", json!("refresh")),
            ("token_type", json!("password_reset")),
            ("type", json!("refresh")),
            ("type", json!("Refresh_Token")),
        ] {
            let expected = Err(TokenError::Type(TypeError::KindClaim(
                ["typ", "token_use", "token_type", "type"].into_iter().find(|known| *known == name).unwrap(),
            )));
            assert_eq!(verdict(json!({name: kind})), expected, "{name} {kind}");
        }
        for (name, value) in [
            ("at_hash", json!("77QmUPtjPfzWtF2AnpK9RQ")),
            ("c_hash", json!("LDktKdoQak3Pk0cnXxCltA")),
            ("s_hash", json!("x")),
            ("events", json!({"http://schemas.openid.net/event/backchannel-logout": {}})),
            ("htm", json!("GET")),
            ("htu", json!("https://usher.example/ws")),
        ] {
            let error = verdict(json!({name: value})).unwrap_err();
            assert_eq!(error, TokenError::Type(TypeError::ForeignClaim(name)));
        }
        assert_eq!(verdict(json!({"cnf": {"jkt": "x"}})), Err(TokenError::Type(TypeError::Bound)));
        assert_eq!(verdict(json!({"nonce": "n", "acr": "1", "scope": "openid"})), Ok(()));
    }
}

#[test]
fn our_own_kinds_open_their_own_doors_only() {
    // req F11: our access token is a JWT, our other secrets are not, and neither is read as the other.
    let pem = generate_es256_pem(&SystemRandom::new()).unwrap();
    let ring = KeyRing::new(SigningKey::from_pem(&pem).unwrap(), Vec::new());
    let rules = IssuerRules::own(ISSUER.to_owned(), AUDIENCE.to_owned(), Duration::from_secs(5));
    let verifier = verifier(vec![TrustedIssuer::new(rules, ring.verification_keys())]);
    let access_token = ring.sign_access_token(
        &AccessTokenProfile { issuer: ISSUER.to_owned(), audience: AUDIENCE.to_owned() },
        &AccessTokenClaims {
            subject: UserId::local("alice").unwrap(),
            name: "Alice".to_owned(),
            roles: vec![Role::new("user").unwrap(), Role::new("admin").unwrap(), Role::new("user").unwrap()],
            session: Some(SessionId::new("ses_1").unwrap()),
            token_id: TokenId::new("jti_1").unwrap(),
            issued_at: UnixTime::from_seconds(NOW),
            expires_at: UnixTime::from_seconds(NOW + 600),
        },
    );
    let verified = verify(&verifier, access_token.reveal()).unwrap();
    assert_eq!(verified.user().as_str(), "alice");
    assert_eq!(verified.issuer(), None);
    assert_eq!(verified.name(), "Alice");
    assert_eq!(verified.roles(), [Role::new("admin").unwrap(), Role::new("user").unwrap()]);
    assert_eq!(verified.session(), Some(&SessionId::new("ses_1").unwrap()));
    assert_eq!(verified.token_id(), Some(&TokenId::new("jti_1").unwrap()));
    assert_eq!(verified.issued_at(), UnixTime::from_seconds(NOW));
    assert_eq!(verified.expires_at(), UnixTime::from_seconds(NOW + 600));
    assert_eq!(verified.key_id(), Some(ring.current().key_id()));
    assert!(verified.claims().is_empty());

    for kind in [TokenKind::Session, TokenKind::Refresh, TokenKind::Ticket, TokenKind::ApiKey] {
        let secret = PlainToken::from_random(kind, [7; 32]);
        assert_eq!(verify(&verifier, secret.reveal()), Err(TokenError::Form(FormError::NotThreeSegments)));
        assert!(PlainToken::parse(kind, access_token.reveal()).is_none());
    }
}
