//! Whether a shared secret can be trusted to be one (RFC 7518 §3.2, RFC 8725 §3.5; req F13).
//!
//! Whoever guesses the secret makes tokens for anybody, and tokens can be tried offline. Refusing a good secret costs its
//! operator a minute; accepting a guessable one costs everything. A secret drawn at random passes with near certainty.

use super::algorithm::Algorithm;

/// Fewest different bytes in a secret. 32 random bytes have about 30, and 32 random hexadecimal digits about 14.
const MIN_DISTINCT_BYTES: usize = 8;
/// A secret that is one piece of at most this length over and over is as weak as the piece.
const LONGEST_REPEATED_PIECE: usize = 16;
/// Fewest characters that must remain of a typed secret when known words, and the padding at its ends, are taken away.
const MIN_REMAINDER: usize = 16;

/// Secrets that are published in documentation, in samples or in standards, as they are written there.
const PUBLISHED: [&str; 9] = [
    "a-string-secret-at-least-256-bits-long",
    "a-valid-string-secret-that-is-at-least-384-bits-long",
    "a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
    "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg",
    "GQDstcKsx0NHjPOuXOYg5MbeJ1XT0uFiwDVvVBrk",
    "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "thequickbrownfoxjumpsoverthelazydog",
    "0123456789abcdefghijklmnopqrstuvwxyz",
];

/// Words that people make placeholder secrets of, the longer before the shorter that they contain.
const WORDS: &str = "\
    authentication authorization development placeholder supersecret production characters changethis signingkey \
    replaceme secretkey something changeme insecure password passw0rd minimum example private replace signing \
    letmein website default sample secret s3cr3t secure server string random please qwerty signed should change \
    socket access admin bytes super token usher value dummy least local login must long test bits user auth that \
    this with pass your very hash key jwt bit the";

/// Why a secret is refused. It repeats nothing of the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WeakSecret {
    /// Shorter than the hash of an algorithm that it is to be used with.
    #[error("a secret for {algorithm} must have at least {} bytes", minimum_length(*.algorithm))]
    TooShort {
        /// The algorithm that needs more.
        algorithm: Algorithm,
    },
    /// Too few different bytes, a short piece repeated, or bytes in sequence.
    #[error("the secret is a pattern, not random: make one with `openssl rand -base64 48`")]
    Pattern,
    /// A published secret, or one made of words such as "secret" and "changeme".
    #[error("the secret is well known or made of well-known words: make one with `openssl rand -base64 48`")]
    WellKnown,
    /// A public key or another key file: whoever can read it could make tokens (CVE-2016-10555, req F3).
    #[error("the secret is a key file or JSON: a public key must never be used as a shared secret")]
    KeyFile,
}

/// Checks a secret that is to be used with each of `algorithms`.
pub(super) fn check(secret: &[u8], algorithms: &[Algorithm]) -> Result<(), WeakSecret> {
    if let Some(&algorithm) = algorithms.iter().find(|algorithm| secret.len() < minimum_length(**algorithm)) {
        return Err(WeakSecret::TooShort { algorithm });
    }
    if is_key_file(secret) {
        return Err(WeakSecret::KeyFile);
    }
    // What was typed or pasted may have white space round it, which is no secret.
    let trimmed = secret.trim_ascii();
    if PUBLISHED.iter().any(|known| trimmed == known.as_bytes()) {
        return Err(WeakSecret::WellKnown);
    }
    if is_pattern(trimmed) {
        return Err(WeakSecret::Pattern);
    }
    match std::str::from_utf8(trimmed) {
        Ok(text) if text.chars().all(|c| c == ' ' || c.is_ascii_graphic()) => check_typed(text),
        _ => Ok(()),
    }
}

/// The length of the algorithm's hash, in bytes (RFC 7518 §3.2).
const fn minimum_length(algorithm: Algorithm) -> usize {
    match algorithm {
        Algorithm::HS512 => 64,
        Algorithm::HS384 => 48,
        _ => 32,
    }
}

fn is_key_file(secret: &[u8]) -> bool {
    let pem = secret.windows(11).any(|window| window == b"-----BEGIN ");
    let json = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(secret).is_ok();
    pem || json || secret.trim_ascii_start().starts_with(b"ssh-") || is_der(secret)
}

/// One DER sequence and nothing after it, which begins with a sequence or an integer: what a binary key or a certificate looks like (RFC 5280
/// §4.1, RFC 5958 §2, RFC 8017 §A.1), and 32 random bytes once in eight million times.
fn is_der(secret: &[u8]) -> bool {
    let (length, rest) = match secret {
        [0x30, length @ 0..=0x7f, rest @ ..] => (usize::from(*length), rest),
        [0x30, 0x81, length, rest @ ..] => (usize::from(*length), rest),
        [0x30, 0x82, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        _ => return false,
    };
    length == rest.len() && matches!(rest, [0x30 | 0x02, ..])
}

fn is_pattern(secret: &[u8]) -> bool {
    let mut seen = [false; 256];
    for byte in secret {
        seen[usize::from(*byte)] = true;
    }
    let distinct = seen.into_iter().filter(|seen| *seen).count();
    distinct < MIN_DISTINCT_BYTES
        || (1..=LONGEST_REPEATED_PIECE).any(|piece| secret[piece..] == secret[..secret.len() - piece])
}

fn check_typed(text: &str) -> Result<(), WeakSecret> {
    let steps = text.as_bytes().windows(2).filter(|pair| pair[0].abs_diff(pair[1]) <= 1).count();
    if steps * 2 > text.len() {
        return Err(WeakSecret::Pattern);
    }
    let lower = text.to_ascii_lowercase();
    // A short secret drawn out with one character is the short secret.
    let unpadded = lower.bytes().last().map_or("", |last| {
        let end = lower.trim_end_matches(char::from(last));
        if lower.len() - end.len() > 2 { end } else { &lower }
    });
    let remainder = WORDS.split(' ').fold(unpadded.to_owned(), |rest, word| rest.replace(word, " "));
    let length = remainder.bytes().filter(u8::is_ascii_alphanumeric).count();
    if length < MIN_REMAINDER { Err(WeakSecret::WellKnown) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check256(secret: impl AsRef<[u8]>) -> Result<(), WeakSecret> {
        check(secret.as_ref(), &[Algorithm::HS256])
    }

    #[test]
    fn length_follows_the_hash() {
        // req F13
        let secret: Vec<u8> = (0..64_u8).map(|i| i.wrapping_mul(151) ^ 0x5a).collect();
        for (algorithm, length) in [(Algorithm::HS256, 32), (Algorithm::HS384, 48), (Algorithm::HS512, 64)] {
            assert_eq!(check(&secret[..length], &[algorithm]), Ok(()));
            assert_eq!(check(&secret[..length - 1], &[algorithm]), Err(WeakSecret::TooShort { algorithm }));
        }
        let all = [Algorithm::HS256, Algorithm::HS512];
        assert_eq!(check(&secret[..63], &all), Err(WeakSecret::TooShort { algorithm: Algorithm::HS512 }));
    }

    #[test]
    fn patterns_are_refused() {
        // req F13
        for secret in [
            "a".repeat(40),
            "secret".repeat(8),
            "0123456789abcdef".repeat(4),
            "abababababababababababababababababab".to_owned(),
            "abcdefghijklmnopqrstuvwxyz012345".to_owned(),
            "98765432109876543210zyxwvutsrqponm".to_owned(),
            "password12password12password12password12".to_owned(),
        ] {
            assert_eq!(check256(&secret), Err(WeakSecret::Pattern), "{secret}");
        }
        assert_eq!(check256([0; 32]), Err(WeakSecret::Pattern));
    }

    #[test]
    fn well_known_secrets_are_refused() {
        // req F13
        for secret in PUBLISHED {
            assert!(check256(secret).is_err(), "{secret}");
        }
        for secret in [
            "your-256-bit-secret-your-secret-key",
            "my_super_secret_jwt_signing_key_2024",
            "changeme-changeme-changeme-please",
            "CHANGE_THIS_SECRET_IN_PRODUCTION!",
            "secretkey00000000000000000000000000000000",
            "please replace this with a very long random string",
            "this-is-a-test-secret-key-for-jwt-auth",
            "supersecretpasswordsupersecrettoken\n",
            "s3cr3t-p4ss-s3cr3t-s3cr3t-s3cr3t-jwt",
        ] {
            let verdict = check256(secret);
            assert!(matches!(verdict, Err(WeakSecret::WellKnown | WeakSecret::Pattern)), "{secret}: {verdict:?}");
        }
    }

    #[test]
    fn key_files_are_refused() {
        // req F3
        for first in [0x30, 0x02] {
            let body = [first].into_iter().chain((0..0x58_u8).map(|i| i.wrapping_mul(77)));
            let der: Vec<u8> = [0x30, 0x59].into_iter().chain(body).collect();
            assert_eq!(check256(der), Err(WeakSecret::KeyFile));
        }
        // Random bytes that begin as a sequence of 30 bytes, of which the first is the tag of nothing.
        let random: Vec<u8> = [0x30, 30, 0x91].into_iter().chain((0..29_u8).map(|i| i.wrapping_mul(77))).collect();
        assert_eq!(check256(random), Ok(()));
        for secret in [
            "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----\n",
            "\n-----BEGIN RSA PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE",
            r#" {"kty":"EC","crv":"P-256","x":"04N0xi21hshyvBp7I167sbE"}"#,
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKq+8Q me@here",
        ] {
            assert_eq!(check256(secret), Err(WeakSecret::KeyFile), "{secret}");
        }
    }

    proptest::proptest! {
        #[test]
        fn random_secrets_pass(bytes: [u8; 32]) {
            // Every usual way to write 256 random bits.
            use base64::Engine as _;
            use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
            // proptest also draws special values such as runs of zeros; a digest of them is as good as random.
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes);
            let bytes = digest.as_ref();
            let hex = format!("{:032x}{:032x}", u128::from_be_bytes(bytes[..16].try_into().unwrap()), u128::from_be_bytes(bytes[16..].try_into().unwrap()));
            proptest::prop_assert_eq!(check256(bytes), Ok(()));
            proptest::prop_assert_eq!(check256(STANDARD.encode(bytes)), Ok(()));
            proptest::prop_assert_eq!(check256(URL_SAFE_NO_PAD.encode(bytes)), Ok(()));
            proptest::prop_assert_eq!(check256(&hex[..32]), Ok(()));
            proptest::prop_assert_eq!(check256(format!("{hex}\n")), Ok(()));
        }
    }
}
