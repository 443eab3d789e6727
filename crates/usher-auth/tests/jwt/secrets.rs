//! Shared secrets: long enough, and not one that others know (req F13).

use serde_json::json;
use usher_auth::jwt::{Algorithm, KeySet, KeySetError, TrustedIssuer, WeakSecret};

use crate::support::{HMAC, SECRET, claims, rules, verifier, verify};

const HS: [Algorithm; 3] = [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];

fn verdict(secret: &[u8], allowed: &[Algorithm]) -> Result<(), KeySetError> {
    KeySet::from_hmac_secret(secret, allowed).map(|_| ())
}

#[test]
fn a_secret_is_as_long_as_the_hash() {
    // req F13
    for (algorithm, length) in HS.into_iter().zip([32, 48, 64]) {
        assert_eq!(verdict(&SECRET[..length], &[algorithm]), Ok(()));
        let short = Err(KeySetError::Secret(WeakSecret::TooShort { algorithm }));
        assert_eq!(verdict(&SECRET[..length - 1], &[algorithm]), short);
        assert_eq!(verdict(b"", &[algorithm]), short);
        assert_eq!(
            verdict(&SECRET[..length - 1], &HS[..=HS.iter().position(|other| *other == algorithm).unwrap()]),
            short
        );
    }
    assert_eq!(verdict(SECRET, &[Algorithm::ES256]), Err(KeySetError::NoUsableKey));
    assert_eq!(verdict(SECRET, &[]), Err(KeySetError::NoUsableKey));
}

#[test]
fn secrets_that_others_know_are_refused() {
    // req F13: from tutorials, samples and lists that tools for guessing come with.
    for secret in [
        "secret",
        "your-256-bit-secret",
        "your-512-bit-secret-your-512-bit-secret",
        "a-string-secret-at-least-256-bits-long",
        "a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
        "GQDstcKsx0NHjPOuXOYg5MbeJ1XT0uFiwDVvVBrk",
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
        "changemechangemechangemechangeme",
        "changeme-please-change-me-in-production",
        "secretsecretsecretsecretsecretsecret",
        "super-secret-key-that-should-be-changed",
        "my_super_secret_key_for_jwt_tokens_123",
        "this-is-a-very-long-secret-for-testing-only",
        "00000000000000000000000000000000",
        "0123456789abcdef0123456789abcdef",
        "01234567890123456789012345678901",
        "abcdefghijklmnopqrstuvwxyzabcdef",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "passwordpasswordpasswordpassword",
        "qwertyqwertyqwertyqwertyqwertyqwerty",
        "secret__________________________________",
        "thequickbrownfoxjumpsoverthelazydog",
    ] {
        assert!(verdict(secret.as_bytes(), &[Algorithm::HS256]).is_err(), "{secret}");
        assert!(verdict(format!("{secret}\n").as_bytes(), &[Algorithm::HS256]).is_err(), "{secret}");
    }
    for byte in 0..=u8::MAX {
        assert_eq!(verdict(&[byte; 64], &[Algorithm::HS512]), Err(KeySetError::Secret(WeakSecret::Pattern)));
    }
}

#[test]
fn a_good_secret_verifies() {
    for algorithm in HS {
        let keys = KeySet::from_hmac_secret(SECRET, &[algorithm]).unwrap();
        let verifier = verifier(vec![TrustedIssuer::new(rules(&[algorithm]), keys)]);
        let header = json!({"alg": algorithm.as_str()}).to_string();
        assert!(verify(&verifier, &HMAC.sign_as(algorithm, &header, &claims().to_string())).is_ok());
    }
}
