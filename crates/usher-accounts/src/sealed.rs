//! A text sealed under a secret token: whoever holds the token can open it, whoever reads the store cannot.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use usher_auth::secret::PlainToken;

/// Separates this use of a token from any other (RFC 5869 §3.2).
const INFO: &[&[u8]] = &[b"usher refresh successor v1"];

struct KeyLength;

impl KeyType for KeyLength {
    fn len(&self) -> usize {
        32
    }
}

/// Seals `text` under a key derived from `token` (HKDF-SHA256, AES-256-GCM), with a random nonce in front. Each token seals once.
pub fn seal(token: &PlainToken, text: &str, nonce: &[u8; NONCE_LEN]) -> Vec<u8> {
    let mut sealed = text.as_bytes().to_vec();
    let tag = key(token)
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(*nonce), Aad::empty(), &mut sealed)
        .expect("a short text can be sealed");
    let mut out = nonce.to_vec();
    out.append(&mut sealed);
    out.extend_from_slice(tag.as_ref());
    out
}

/// Opens what [`seal`] made; `None` if it was sealed under another token or changed since.
pub fn open(token: &PlainToken, sealed: &[u8]) -> Option<String> {
    let (nonce, body) = sealed.split_at_checked(NONCE_LEN)?;
    let mut body = body.to_vec();
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let text = key(token).open_in_place(nonce, Aad::empty(), &mut body).ok()?;
    String::from_utf8(text.to_vec()).ok()
}

fn key(token: &PlainToken) -> LessSafeKey {
    // The input has 256 random bits, so no salt is needed.
    let extracted = Salt::new(HKDF_SHA256, &[]).extract(token.reveal().as_bytes());
    let expanded = extracted.expand(INFO, KeyLength).expect("32 bytes is a length HKDF gives");
    let mut bytes = [0; 32];
    expanded.fill(&mut bytes).expect("32 bytes were asked for");
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &bytes).expect("32 bytes is an AES-256 key"));
    zeroize::Zeroize::zeroize(&mut bytes);
    key
}

#[cfg(test)]
mod tests {
    use usher_auth::secret::TokenKind;

    use super::*;

    #[test]
    fn only_the_same_token_opens_it() {
        // req L2, L4
        let (one, two) = ([1, 2].map(|byte| PlainToken::from_random(TokenKind::Refresh, [byte; 32]))).into();
        let sealed = seal(&one, "successor", &[9; NONCE_LEN]);
        assert_eq!(open(&one, &sealed).as_deref(), Some("successor"));
        assert_eq!(open(&two, &sealed), None);
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert_eq!(open(&one, &changed), None);
        }
        assert_eq!(open(&one, &sealed[..5]), None);
    }
}
