//! Signatures, algorithms and the choice of the key (req F1 to F5).

use std::io::ErrorKind;
use std::net::TcpListener;

use serde_json::{Value, json};
use usher_auth::UnixTime;
use usher_auth::jwt::{
    Algorithm, Compact, FormError, InvalidAlgorithm, KeySet, KeySetError, SignatureError, TokenError, TrustedIssuer,
    WeakSecret,
};

use crate::support::{
    AUDIENCE, ED25519, HMAC, ISSUER, NOW, OTHER_P256, P256, P384, RSA, TestKey, claims, claims_with, jwks, pem, rules,
    trusting, verifier, verify,
};

#[test]
fn every_algorithm_is_verified_and_tells_its_key() {
    let mut verified = 0;
    for key in [&*RSA, &*P256, &*P384, &*ED25519, &*HMAC] {
        let verifier = trusting(key);
        for algorithm in key.algorithms() {
            let header = json!({"alg": algorithm.as_str(), "kid": "k1"}).to_string();
            let token = key.sign_as(algorithm, &header, &claims().to_string());
            assert_eq!(verify(&verifier, &token).unwrap().key_id(), Some("k1"), "{algorithm}");
            verified += 1;
        }
    }
    assert_eq!(verified, Algorithm::ALL.len());
}

#[test]
fn no_byte_can_be_changed() {
    // req F1
    for key in [&*RSA, &*P256, &*P384, &*ED25519, &*HMAC] {
        let verifier = trusting(key);
        let good = key.sign(json!({"kid": "k1", "typ": "JWT"}), &claims());
        assert!(verify(&verifier, &good).is_ok());
        let expired = key.sign(json!({"kid": "k1"}), &claims_with(json!({"iat": NOW - 900, "exp": NOW - 600})));
        assert!(verify(&verifier, &expired).unwrap_err().is_expired());
        for token in [&good, &expired] {
            for position in 0..token.len() {
                for replacement in
                    [token.as_bytes()[position] ^ 1, next_base64url(token.as_bytes()[position]), b'A', b'.']
                {
                    let mut changed = token.clone().into_bytes();
                    if changed[position] == replacement {
                        continue;
                    }
                    changed[position] = replacement;
                    let error = verify(&verifier, std::str::from_utf8(&changed).unwrap()).unwrap_err();
                    assert!(!error.is_expired(), "{position} in {token}");
                }
            }
        }
    }
}

fn next_base64url(byte: u8) -> u8 {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    ALPHABET.iter().position(|known| *known == byte).map_or(b'A', |index| ALPHABET[(index + 1) % 64])
}

#[test]
fn signatures_are_neither_cut_nor_extended() {
    // req F1
    for key in [&*RSA, &*P256, &*P384, &*ED25519, &*HMAC] {
        let verifier = trusting(key);
        let token = key.sign(json!({"kid": "k1"}), &claims());
        let (message, signature) = token.rsplit_once('.').unwrap();
        for changed in
            [&signature[4..], &signature[..signature.len() - 4], &format!("AAAA{signature}"), "AAAA", &"A".repeat(86)]
        {
            let error = verify(&verifier, &format!("{message}.{changed}")).unwrap_err();
            assert!(matches!(error, TokenError::WrongSignature | TokenError::Form(FormError::Base64)), "{error}");
        }
        let other = key.sign(json!({"kid": "k1"}), &claims_with(json!({"sub": "bob"})));
        let (_, other_signature) = other.rsplit_once('.').unwrap();
        assert_eq!(verify(&verifier, &format!("{message}.{other_signature}")), Err(TokenError::WrongSignature));
    }
}

#[test]
fn none_is_refused_however_it_is_spelt() {
    // req F2
    let verifier = trusting(&P256);
    for spelling in ["none", "None", "NONE", "nOnE", "none ", "nONE"] {
        for header in
            [json!({"alg": spelling}), json!({"alg": spelling, "kid": "k1"}), json!({"alg": spelling, "typ": "at+jwt"})]
        {
            let token = P256.sign_as(Algorithm::ES256, &header.to_string(), &claims().to_string());
            let none = TokenError::Form(FormError::Algorithm(InvalidAlgorithm::None));
            assert_eq!(verify(&verifier, &token), Err(none));
            let (message, _) = token.rsplit_once('.').unwrap();
            assert_eq!(verify(&verifier, &format!("{message}.")), Err(TokenError::Form(FormError::EmptySegment)));
            assert_eq!(verify(&verifier, message), Err(TokenError::Form(FormError::NotThreeSegments)));
        }
    }
}

#[test]
fn only_the_issuers_algorithms_count() {
    // req F2: the key would do for all six, the configuration says one.
    let rules = rules(&[Algorithm::RS256]);
    let keys = KeySet::from_jwks(&jwks(&[RSA.jwk_with(json!({"kid": "k1"}))]), &Algorithm::ALL).unwrap();
    let verifier = verifier(vec![TrustedIssuer::new(rules, keys)]);
    for algorithm in RSA.algorithms() {
        let header = json!({"alg": algorithm.as_str(), "kid": "k1"}).to_string();
        let verdict = verify(&verifier, &RSA.sign_as(algorithm, &header, &claims().to_string()));
        match algorithm {
            Algorithm::RS256 => assert!(verdict.is_ok()),
            _ => assert_eq!(verdict, Err(TokenError::AlgorithmNotAllowed)),
        }
    }
}

#[test]
fn a_public_key_is_never_a_shared_secret() {
    // req F3
    for key in [&*RSA, &*P256, &*P384, &*ED25519] {
        let public_pem = key.public_pem();
        let jwk = key.jwk_with(json!({"kid": "k1"}));
        let forms: Vec<Vec<u8>> = vec![
            public_pem.clone().into_bytes(),
            public_pem.trim_end().as_bytes().to_vec(),
            public_pem.replace('\n', "\r\n").into_bytes(),
            key.der.clone(),
            key.raw.clone(),
            jwk.to_string().into_bytes(),
            key.jwk.to_string().into_bytes(),
            jwks(std::slice::from_ref(&jwk)),
            jwk["n"].as_str().or(jwk["x"].as_str()).unwrap().as_bytes().to_vec(),
            Vec::new(),
        ];
        // Even where somebody allows everything, the key stays what it is.
        let careless = [
            KeySet::from_jwks(&jwks(&[jwk]), &Algorithm::ALL).unwrap(),
            KeySet::from_public_key_pem(public_pem.as_bytes(), &Algorithm::ALL).unwrap(),
        ];
        for secret in &forms {
            for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
                for header in [json!({"alg": algorithm.as_str(), "kid": "k1"}), json!({"alg": algorithm.as_str()})] {
                    let token = TestKey::hmac(secret).sign_as(algorithm, &header.to_string(), &claims().to_string());
                    assert_eq!(verify(&trusting(key), &token), Err(TokenError::AlgorithmNotAllowed));
                    for keys in &careless {
                        let verdict = keys.verify_signature(&Compact::parse(&token).unwrap());
                        assert!(matches!(
                            verdict,
                            Err(SignatureError::KeyNotForAlgorithm | SignatureError::UnknownKey)
                        ));
                    }
                }
            }
        }
    }
}

#[test]
fn a_key_file_is_not_taken_as_a_shared_secret() {
    // req F3: the operator's side of the same mistake.
    let hs256 = [Algorithm::HS256];
    for key in [&*RSA, &*P256, &*P384, &*ED25519] {
        let jwk = key.jwk.to_string();
        for file in [key.public_pem().as_bytes(), key.public_pem().trim_end().as_bytes(), &key.der, jwk.as_bytes()] {
            let verdict = KeySet::from_hmac_secret(file, &hs256).map(|_| ());
            assert_eq!(verdict, Err(KeySetError::Secret(WeakSecret::KeyFile)));
        }
    }
    assert!(KeySet::from_hmac_secret(&HMAC.raw, &hs256).is_ok());
}

#[test]
fn a_key_is_used_with_its_own_algorithms_only() {
    // req F3: one set with several kinds of key, each token naming another's id.
    let everything: Vec<Value> = [("rsa", &*RSA), ("p256", &P256), ("p384", &P384), ("ed", &ED25519)]
        .map(|(id, key)| key.jwk_with(json!({"kid": id})))
        .to_vec();
    let asymmetric: Vec<Algorithm> = Algorithm::ALL.into_iter().filter(|algorithm| !algorithm.is_symmetric()).collect();
    let keys = KeySet::from_jwks(&jwks(&everything), &asymmetric).unwrap();
    let verifier = verifier(vec![TrustedIssuer::new(rules(&asymmetric), keys)]);
    for (own, key) in [("rsa", &*RSA), ("p256", &P256), ("p384", &P384), ("ed", &ED25519)] {
        for named in ["rsa", "p256", "p384", "ed"] {
            let verdict = verify(&verifier, &key.sign(json!({"kid": named}), &claims()));
            if own == named {
                assert!(verdict.is_ok());
            } else {
                assert_eq!(verdict, Err(TokenError::KeyNotForAlgorithm));
            }
        }
        // Without an id each finds the one key of its kind.
        assert_eq!(verify(&verifier, &key.sign(json!({}), &claims())).unwrap().key_id(), Some(own));
    }
}

#[test]
fn keys_in_the_header_are_refused_and_fetched_by_nobody() {
    // req F4
    let canary = TcpListener::bind("127.0.0.1:0").unwrap();
    canary.set_nonblocking(true).unwrap();
    let url = format!("http://{}/keys", canary.local_addr().unwrap());
    let verifier = trusting(&P256);
    let embedded = OTHER_P256.jwk_with(json!({"kid": "k1"}));
    for (name, value) in [
        ("jwk", embedded.clone()),
        ("jwk", P256.jwk.clone()),
        ("jku", json!(url)),
        ("jku", json!(format!("{ISSUER}/../../{url}"))),
        ("x5u", json!(url)),
        ("x5c", json!(["MIIB"])),
        ("x5c", json!([])),
    ] {
        for key in [&*OTHER_P256, &*P256] {
            for mut header in [json!({"kid": "k1"}), json!({})] {
                header[name] = value.clone();
                let token = key.sign(header, &claims());
                assert_eq!(verify(&verifier, &token), Err(TokenError::Form(FormError::RefusedMember(name))));
            }
        }
    }
    assert_eq!(canary.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "a token caused a connection");
}

#[test]
fn a_key_id_is_a_name_and_nothing_else() {
    // req F5. The tokens are signed with what an interpreted `kid` would lead to: nothing, or a key of the attacker's.
    let injections = [
        "../../dev/null",
        "/dev/null",
        "../../../../../../dev/null\u{0}",
        "file:///dev/null",
        "https://attacker.example/key",
        "' UNION SELECT 'key' -- ",
        "k1' OR '1'='1",
        "|sleep 10",
        "`sleep 10`",
        "$(sleep 10)",
        "k1\n",
        "k1 ",
        " k1",
        "K1",
        "k",
        "k1/../k1",
        "%6b1",
        "k\u{131}1",
        " ",
        "\u{0}",
        "0",
        "*",
        "${k1}",
    ];
    let unknown = TokenError::UnknownKey { issuer: rules(&[]).name };
    for (trusted, attacker) in [(&*P256, &*OTHER_P256), (&*HMAC, &TestKey::hmac(b""))] {
        let verifier = trusting(trusted);
        for kid in injections {
            assert_eq!(
                verify(&verifier, &attacker.sign(json!({"kid": kid}), &claims())),
                Err(unknown.clone()),
                "{kid:?}"
            );
            // Nor does the right key help: the id must be the right one too.
            assert_eq!(
                verify(&verifier, &trusted.sign(json!({"kid": kid}), &claims())),
                Err(unknown.clone()),
                "{kid:?}"
            );
        }
        for kid in
            [json!(""), json!(null), json!(1), json!(true), json!(["k1"]), json!({"k1": "k1"}), json!("k".repeat(257))]
        {
            let error = TokenError::Form(FormError::HeaderMember("kid"));
            assert_eq!(verify(&verifier, &trusted.sign(json!({"kid": kid}), &claims())), Err(error));
        }
        let long = trusted.sign(json!({"kid": "k".repeat(64 * 1024)}), &claims());
        assert_eq!(verify(&verifier, &long), Err(TokenError::Form(FormError::TooLong)));
    }
}

#[test]
fn without_a_key_id_there_must_be_one_key() {
    let two = [
        P256.jwk_with(json!({"kid": "a"})),
        OTHER_P256.jwk_with(json!({"kid": "b"})),
        ED25519.jwk_with(json!({"kid": "c"})),
    ];
    let allowed = [Algorithm::ES256, Algorithm::EdDSA];
    let keys = KeySet::from_jwks(&jwks(&two), &allowed).unwrap();
    let verifier = verifier(vec![TrustedIssuer::new(rules(&allowed), keys)]);
    assert_eq!(verify(&verifier, &P256.sign(json!({}), &claims())), Err(TokenError::AmbiguousKey));
    assert_eq!(verify(&verifier, &ED25519.sign(json!({}), &claims())).unwrap().key_id(), Some("c"));
    assert_eq!(verify(&verifier, &P256.sign(json!({"kid": "b"}), &claims())), Err(TokenError::WrongSignature));
    assert!(verify(&verifier, &OTHER_P256.sign(json!({"kid": "b"}), &claims())).is_ok());
}

#[test]
fn a_key_without_an_id_serves_every_id() {
    for key in [&*RSA, &*P256, &*P384, &*ED25519] {
        let keys = KeySet::from_public_key_pem(key.public_pem().as_bytes(), &key.algorithms()).unwrap();
        let verifier = verifier(vec![TrustedIssuer::new(rules(&key.algorithms()), keys)]);
        for header in [json!({}), json!({"kid": "whatever"})] {
            assert_eq!(verify(&verifier, &key.sign(header, &claims())).unwrap().key_id(), None);
        }
        let forged =
            if key.algorithm == Algorithm::ES256 { OTHER_P256.sign(json!({}), &claims()) } else { String::new() };
        assert!(verify(&verifier, &forged).is_err());
    }
    let rsa_der = RSA.der[RSA.der.len() - 270..].to_vec();
    assert_eq!(rsa_der[..4], [0x30, 0x82, 0x01, 0x0a], "the PKCS#1 form is the end of the other");
    let keys = KeySet::from_public_key_pem(pem("RSA PUBLIC KEY", &rsa_der).as_bytes(), &[Algorithm::RS256]).unwrap();
    assert!(keys.verify_signature(&Compact::parse(&RSA.sign(json!({}), &claims())).unwrap()).is_ok());
}

#[test]
fn the_signature_is_verified_before_any_claim_is_believed() {
    // req F1: whatever is wrong with the claims, a wrong signature is what is found.
    let verifier = trusting(&P256);
    for changes in [
        json!({"exp": NOW - 1000}),
        json!({"exp": "soon"}),
        json!({"aud": "other"}),
        json!({"sub": null}),
        json!({"nbf": NOW + 1000}),
        json!({}),
    ] {
        let token = OTHER_P256.sign(json!({"kid": "k1"}), &claims_with(changes));
        assert_eq!(verify(&verifier, &token), Err(TokenError::WrongSignature));
    }
    let early = verifier.verify(&P256.sign(json!({"kid": "k1"}), &claims()), UnixTime::EPOCH).unwrap_err();
    assert_eq!(early, TokenError::IssuedInFuture);
    assert_eq!(claims()["aud"], AUDIENCE);
}
