//! A token from a stranger: never a panic, and never let in, whatever it says.

#![no_main]

use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use usher_auth::UnixTime;
use usher_auth::jwt::{Algorithm, IssuerRules, KeySet, TokenVerifier, TrustedIssuer};

static VERIFIER: LazyLock<TokenVerifier> = LazyLock::new(|| {
    let mut rules = IssuerRules::own("https://usher.test".to_owned(), "usher".to_owned(), Duration::from_secs(30));
    rules.algorithms = vec![Algorithm::HS256];
    let keys = KeySet::from_hmac_secret(b"w8#kP2!zQv9@Lm4$Xr7%Bn1^Tc6&Yd3*", &[Algorithm::HS256]).expect("a secret");
    TokenVerifier::new(vec![TrustedIssuer::new(rules, keys)], BTreeSet::from(["tenant".to_owned()]))
        .expect("one issuer")
});

fuzz_target!(|token: &str| {
    assert!(VERIFIER.verify(token, UnixTime::from_seconds(1_760_000_000)).is_err());
});
