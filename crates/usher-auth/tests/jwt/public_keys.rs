//! JWK sets and PEM files: which keys are taken, passed over and refused (req F13, F14).

use aws_lc_rs::rsa::KeySize;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use usher_auth::jwt::{
    Algorithm, Compact, InvalidJwk, InvalidPem, KeySet, KeySetError, MAX_JWKS_BYTES, MAX_JWKS_KEYS, StrictJsonError,
    WeakRsaKey, WeakSecret,
};

use crate::support::{ED25519, HMAC, OTHER_P256, P256, P384, RSA, TestKey, claims, jwks, pem};

const ASYMMETRIC: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

fn ids(keys: &[Value]) -> Result<Vec<String>, KeySetError> {
    KeySet::from_jwks(&jwks(keys), &ASYMMETRIC).map(|set| set.key_ids().map(str::to_owned).collect())
}

fn refused(key: Value) -> InvalidJwk {
    match ids(&[P256.jwk_with(json!({"kid": "good"})), key]) {
        Err(KeySetError::Jwk { index: 1, source }) => source,
        other => panic!("{other:?}"),
    }
}

#[test]
fn keys_for_others_are_passed_over() {
    // req F13: a good key beside them is still taken.
    let good =
        P256.jwk_with(json!({"kid": "good", "use": "sig", "alg": "ES256", "key_ops": ["verify"], "x5c": ["MIIB"]}));
    for other in [
        RSA.jwk_with(json!({"kid": "other", "use": "enc"})),
        RSA.jwk_with(json!({"kid": "other", "use": "tls"})),
        RSA.jwk_with(json!({"kid": "other", "key_ops": ["encrypt", "wrapKey"]})),
        RSA.jwk_with(json!({"kid": "other", "key_ops": []})),
        RSA.jwk_with(json!({"kid": "other", "use": "sig", "key_ops": ["encrypt"]})),
        RSA.jwk_with(json!({"kid": "other", "alg": "RSA-OAEP"})),
        RSA.jwk_with(json!({"kid": "other", "alg": "none"})),
        RSA.jwk_with(json!({"kid": "other", "alg": "HS256"})),
        P256.jwk_with(json!({"kid": "other", "alg": "ES384"})),
        json!({"kid": "other", "kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"}),
        json!({"kid": "other", "kty": "EC", "crv": "P-521", "x": "AA", "y": "AA"}),
        json!({"kid": "other", "kty": "OKP", "crv": "X25519", "x": "AA"}),
        json!({"kid": "other", "kty": "OKP", "crv": "Ed448", "x": "AA"}),
        json!({"kid": "other", "kty": "AKP", "alg": "ML-DSA-44", "pub": "AA"}),
        json!({"kid": "other", "kty": "rsa"}),
    ] {
        assert_eq!(ids(&[other.clone(), good.clone()]).as_deref(), Ok(["good".to_owned()].as_slice()), "{other}");
        assert_eq!(ids(&[other]), Err(KeySetError::NoUsableKey));
    }
    assert_eq!(ids(&[]), Err(KeySetError::NoUsableKey));
    assert!(matches!(KeySet::from_jwks(&jwks(&[good]), &[Algorithm::RS256]), Err(KeySetError::NoUsableKey)));
}

#[test]
fn weak_and_broken_keys_are_refused() {
    // req F13
    let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let rsa = |n: &[u8], e: &[u8]| json!({"kty": "RSA", "n": text(n), "e": text(e)});
    let mut even = RSA.raw.clone();
    *even.last_mut().unwrap() &= 0xfe;
    for (key, error) in [
        (rsa(&RSA.raw, &[1]), WeakRsaKey::Exponent),
        (rsa(&RSA.raw, &[0, 0, 1]), WeakRsaKey::Exponent),
        (rsa(&RSA.raw, &[1, 0, 0]), WeakRsaKey::Exponent),
        (rsa(&RSA.raw, &[0]), WeakRsaKey::Exponent),
        (rsa(&RSA.raw, &RSA.raw), WeakRsaKey::Exponent),
        (rsa(&RSA.raw[..128], &[1, 0, 1]), WeakRsaKey::ModulusLength),
        (rsa(&RSA.raw[..255], &[1, 0, 1]), WeakRsaKey::ModulusLength),
        (rsa(&[[0].as_slice(), &RSA.raw[..255]].concat(), &[1, 0, 1]), WeakRsaKey::ModulusLength),
        (rsa(&RSA.raw.repeat(5), &[1, 0, 1]), WeakRsaKey::ModulusLength),
        (rsa(&[0; 256], &[1, 0, 1]), WeakRsaKey::ModulusLength),
        (rsa(&even, &[1, 0, 1]), WeakRsaKey::EvenModulus),
    ] {
        assert_eq!(refused(key), InvalidJwk::Rsa(error));
    }
    // The sign byte that some issuers leave in is no harm.
    assert!(ids(&[rsa(&[[0].as_slice(), &RSA.raw].concat(), &[1, 0, 1])]).is_ok());

    // On the line, but not on the curve; and the coordinates of another point.
    let mut off = P256.jwk.clone();
    off["y"] = OTHER_P256.jwk["y"].clone();
    assert_eq!(refused(off), InvalidJwk::NotOnCurve);
    assert_eq!(
        refused(json!({"kty": "EC", "crv": "P-256", "x": text(&[0; 32]), "y": text(&[0; 32])})),
        InvalidJwk::NotOnCurve
    );
    assert_eq!(
        refused(json!({"kty": "EC", "crv": "P-384", "x": text(&[0xff; 48]), "y": text(&[1; 48])})),
        InvalidJwk::NotOnCurve
    );
    let mut wrong_curve = P256.jwk.clone();
    wrong_curve["crv"] = "P-384".into();
    assert_eq!(refused(wrong_curve), InvalidJwk::Member("x"));
}

#[test]
fn private_keys_are_refused() {
    // req F13, G9: for whatever use.
    for name in ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"] {
        for key in [&*RSA, &*P384, &*ED25519] {
            assert_eq!(refused(key.jwk_with(json!({name: "AA"}))), InvalidJwk::Private(name));
            assert_eq!(refused(key.jwk_with(json!({name: "AA", "use": "enc"}))), InvalidJwk::Private(name));
        }
    }
    assert_eq!(refused(json!({"kty": "AKP", "priv": "AA"})), InvalidJwk::Private("priv"));
}

#[test]
fn malformed_keys_are_refused() {
    for (key, name) in [
        (json!({}), "kty"),
        (json!({"kty": 7}), "kty"),
        (json!({"kty": "RSA", "n": "AA"}), "e"),
        (json!({"kty": "RSA", "e": "AQAB"}), "n"),
        (json!({"kty": "RSA", "e": "AQAB", "n": "AA=="}), "n"),
        (json!({"kty": "RSA", "e": "AQAB", "n": "A A"}), "n"),
        (json!({"kty": "EC"}), "crv"),
        (json!({"kty": "EC", "crv": 256}), "crv"),
        (json!({"kty": "EC", "crv": "P-256", "x": P256.jwk["x"]}), "y"),
        (json!({"kty": "EC", "crv": "P-256", "x": [], "y": []}), "x"),
        (json!({"kty": "OKP", "crv": "Ed25519", "x": "AA"}), "x"),
        (RSA.jwk_with(json!({"kid": 7})), "kid"),
        (RSA.jwk_with(json!({"kid": ""})), "kid"),
        (RSA.jwk_with(json!({"kid": "k".repeat(257)})), "kid"),
        (RSA.jwk_with(json!({"alg": ["RS256"]})), "alg"),
        (RSA.jwk_with(json!({"use": ["sig"]})), "use"),
        (RSA.jwk_with(json!({"key_ops": "verify"})), "key_ops"),
    ] {
        assert_eq!(refused(key.clone()), InvalidJwk::Member(name), "{key}");
    }
    for set in [json!({}), json!({"keys": {}}), json!({"keys": null}), json!({"keys": [7]}), RSA.jwk.clone()] {
        let verdict = KeySet::from_jwks(set.to_string().as_bytes(), &ASYMMETRIC).map(|_| ());
        assert_eq!(verdict, Err(KeySetError::NotASet), "{set}");
    }
    let twice = format!(r#"{{"keys":[{{"kty":"oct","kty":"RSA","n":{},"e":"AQAB"}}]}}"#, RSA.jwk["n"]);
    let verdict = KeySet::from_jwks(twice.as_bytes(), &ASYMMETRIC).map(|_| ());
    assert_eq!(verdict, Err(KeySetError::Json(StrictJsonError::DuplicateMember)));
    let html = KeySet::from_jwks(b"<html>", &ASYMMETRIC).map(|_| ());
    assert_eq!(html, Err(KeySetError::Json(StrictJsonError::Syntax)));
}

#[test]
fn a_set_is_of_one_mind() {
    // req F14
    let (one, two) = (P256.jwk_with(json!({"kid": "same"})), OTHER_P256.jwk_with(json!({"kid": "same"})));
    assert_eq!(ids(&[one.clone(), two.clone()]), Err(KeySetError::DuplicateKeyId));
    assert_eq!(ids(&[one.clone(), one.clone()]), Err(KeySetError::DuplicateKeyId));
    assert_eq!(
        ids(&[one.clone(), RSA.jwk_with(json!({"kid": "same", "use": "enc"}))]),
        Err(KeySetError::DuplicateKeyId)
    );
    let secret = HMAC.jwk_with(json!({"kid": "secret"}));
    for allowed in [&ASYMMETRIC[..], &Algorithm::ALL, &[Algorithm::HS256]] {
        for set in [[secret.clone(), one.clone()], [one.clone(), secret.clone()]] {
            assert_eq!(KeySet::from_jwks(&jwks(&set), allowed).map(|_| ()), Err(KeySetError::Mixed));
        }
    }
    assert_eq!(ids(std::slice::from_ref(&secret)), Err(KeySetError::UnexpectedSecret));
    let mut zero = HMAC.jwk.clone();
    zero["k"] = URL_SAFE_NO_PAD.encode([0; 32]).into();
    let weak = KeySetError::Jwk { index: 0, source: InvalidJwk::Secret(WeakSecret::Pattern) };
    assert_eq!(KeySet::from_jwks(&jwks(&[zero]), &[Algorithm::HS256]).map(|_| ()), Err(weak));
    assert!(KeySet::from_jwks(&jwks(&[secret]), &[Algorithm::HS256]).is_ok());
}

#[test]
fn a_set_is_bounded() {
    let key = |index: usize| P256.jwk_with(json!({"kid": index.to_string()}));
    let full: Vec<Value> = (0..MAX_JWKS_KEYS).map(key).collect();
    assert_eq!(ids(&full).unwrap().len(), MAX_JWKS_KEYS);
    assert_eq!(ids(&[full, vec![key(MAX_JWKS_KEYS)]].concat()), Err(KeySetError::TooManyKeys));
    let padded = |bytes| format!("{}{}", String::from_utf8(jwks(&[key(0)])).unwrap(), " ".repeat(bytes));
    let room = MAX_JWKS_BYTES - padded(0).len();
    assert!(KeySet::from_jwks(padded(room).as_bytes(), &ASYMMETRIC).is_ok());
    assert_eq!(KeySet::from_jwks(padded(room + 1).as_bytes(), &ASYMMETRIC).map(|_| ()), Err(KeySetError::TooLong));
}

#[test]
fn the_jwks_algorithm_narrows_its_key() {
    // req F2
    let keys = KeySet::from_jwks(&jwks(&[RSA.jwk_with(json!({"kid": "k1", "alg": "PS256"}))]), &ASYMMETRIC).unwrap();
    for algorithm in RSA.algorithms() {
        let header = json!({"alg": algorithm.as_str(), "kid": "k1"}).to_string();
        let token = RSA.sign_as(algorithm, &header, &claims().to_string());
        let verdict = keys.verify_signature(&Compact::parse(&token).unwrap());
        assert_eq!(verdict.is_ok(), algorithm == Algorithm::PS256, "{algorithm}");
    }
}

#[test]
fn pem_holds_one_public_key() {
    // req F13
    let read = |text: &str| KeySet::from_public_key_pem(text.as_bytes(), &ASYMMETRIC).map(|_| ());
    let refused = |error| Err(KeySetError::Pem(error));
    for key in [&*RSA, &*P256, &*P384, &*ED25519] {
        let public = key.public_pem();
        assert_eq!(read(&public), Ok(()));
        assert_eq!(read(&format!("a comment\n{}", public.replace('\n', "\r\n"))), Ok(()));
        assert_eq!(read(&format!("{public}{public}")), refused(InvalidPem::NotOne));
        for label in
            ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "OPENSSH PRIVATE KEY"]
        {
            assert_eq!(read(&pem(label, &key.der)), refused(InvalidPem::PrivateKey));
            assert_eq!(read(&format!("{public}{}", pem(label, &key.der))), refused(InvalidPem::PrivateKey));
        }
        assert_eq!(read(&pem("CERTIFICATE", &key.der)), refused(InvalidPem::Certificate));
        assert_eq!(read(&pem("X509 CRL", &key.der)), refused(InvalidPem::UnknownKey));
        for cut in [1, 20, key.der.len() - 1] {
            assert_eq!(read(&pem("PUBLIC KEY", &key.der[..cut])), refused(InvalidPem::UnknownKey), "{cut}");
        }
        let other: Vec<Algorithm> =
            ASYMMETRIC.into_iter().filter(|algorithm| !key.algorithms().contains(algorithm)).collect();
        let verdict = KeySet::from_public_key_pem(public.as_bytes(), &other).map(|_| ());
        assert_eq!(verdict, Err(KeySetError::NoUsableKey));
    }
    for text in ["", "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE", &RSA.jwk.to_string()] {
        assert_eq!(read(text), refused(InvalidPem::NotPem));
    }
    assert_eq!(read(&" ".repeat(64 * 1024 + 1)), refused(InvalidPem::TooLong));
    // A point that is none: the last byte of y changed.
    let mut off = P256.der.clone();
    *off.last_mut().unwrap() ^= 1;
    assert_eq!(read(&pem("PUBLIC KEY", &off)), refused(InvalidPem::UnknownKey));
    // The curve's name says P-256K (secp256k1): 1.3.132.0.10 is shorter than P-256's name by two bytes.
    let koblitz = [
        &[
            0x30, 0x56, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04,
            0x00, 0x0a,
        ],
        &P256.der[P256.der.len() - 68..],
    ]
    .concat();
    assert_eq!(read(&pem("PUBLIC KEY", &koblitz)), refused(InvalidPem::UnknownKey));
}

#[test]
fn a_weak_key_in_pem_is_refused() {
    // req F13: the exponent 65537 of the good key made 1 and 65536.
    let exponent = RSA.der.len() - 3;
    assert_eq!(RSA.der[exponent..], [1, 0, 1]);
    for bad in [[0, 0, 1], [1, 0, 0]] {
        let mut der = RSA.der.clone();
        der[exponent..].copy_from_slice(&bad);
        assert!(KeySet::from_public_key_pem(pem("PUBLIC KEY", &der).as_bytes(), &ASYMMETRIC).is_err());
    }
    let short = "-----BEGIN PUBLIC KEY-----\n\
        MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCskEinpPVgr5G0/K9ioUWVy5yp7BIAD8hF5IVyETyrKJCtsBGpGVdaQHYNHyP+klCcilg\n\
        -----END PUBLIC KEY-----\n";
    assert!(KeySet::from_public_key_pem(short.as_bytes(), &ASYMMETRIC).is_err());
    let strong = TestKey::rsa(KeySize::Rsa3072);
    assert!(KeySet::from_public_key_pem(strong.public_pem().as_bytes(), &ASYMMETRIC).is_ok());
}
