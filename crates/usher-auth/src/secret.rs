//! Secrets: what may be shown and what may be stored are different types.
//!
//! A [`PlainToken`] can be handed to its owner once and cannot be stored; a [`HashedToken`] can be stored and says nothing to
//! anybody. Neither prints its content.

use std::fmt;

use aws_lc_rs::{constant_time, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// What a secret of ours opens. Each has a prefix of its own, so that one kind is never taken for another (req F11) and secret
/// scanners can find a leaked one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// The session cookie.
    Session,
    /// A refresh token.
    Refresh,
    /// A single-use ticket.
    Ticket,
    /// An API key.
    ApiKey,
}

impl TokenKind {
    /// The four characters every secret of this kind begins with.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Session => "uss_",
            Self::Refresh => "usr_",
            Self::Ticket => "utk_",
            Self::ApiKey => "usk_",
        }
    }
}

/// What a session key begins with, before the token that it is. It is no [`TokenKind`]: nothing of it is stored.
pub const SESSION_KEY_PREFIX: &str = "uso_";

/// Length in bytes of every secret of ours: a prefix of 4 and 32 random bytes as 43 characters of base64url.
pub const TOKEN_LENGTH: usize = 47;

/// How much of a refresh token its successors have in common: the prefix and 21 characters of 6 bits. What is left are 22 characters, 130
/// bits.
const FAMILY_LENGTH: usize = 25;

/// A secret in clear, as its owner presents it. Wiped when dropped; never printed, never stored.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct PlainToken(String);

impl PlainToken {
    /// A new secret of `kind` from 32 random bytes (256 bits; req D1).
    pub fn from_random(kind: TokenKind, mut bytes: [u8; 32]) -> Self {
        let token = Self(format!("{}{}", kind.prefix(), URL_SAFE_NO_PAD.encode(bytes)));
        bytes.zeroize();
        token
    }

    /// The secret that takes the place of this one: of the same family, with 128 bits of its own from `bytes`.
    ///
    /// A refresh token's first 126 random bits are those of its session's first one. So one that was spent long ago, and of which nothing
    /// else is kept, is still known to be one of that session.
    #[must_use]
    pub fn successor(&self, kind: TokenKind, bytes: [u8; 32]) -> Self {
        let fresh = Self::from_random(kind, bytes);
        Self(format!("{}{}", &self.0[..FAMILY_LENGTH], &fresh.0[FAMILY_LENGTH..]))
    }

    /// What may be stored of what a token and its successors have in common.
    pub fn family(&self) -> HashedToken {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(b"family:");
        context.update(&self.0.as_bytes()[..FAMILY_LENGTH]);
        HashedToken::from_digest(&context.finish())
    }

    /// What somebody presented as a secret of `kind`; `None` if it does not have that form, which needs no look-up to refuse.
    pub fn parse(kind: TokenKind, text: &str) -> Option<Self> {
        let body = text.strip_prefix(kind.prefix())?;
        let well_formed =
            text.len() == TOKEN_LENGTH && body.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        well_formed.then(|| Self(text.to_owned()))
    }

    /// The secret itself, to be put in the one answer that hands it over.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What may be stored of it.
    ///
    /// SHA-256 without salt is right here, and would be wrong for a password: the input has 256 bits of entropy.
    pub fn hashed(&self) -> HashedToken {
        HashedToken::from_digest(&digest::digest(&digest::SHA256, self.0.as_bytes()))
    }
}

impl fmt::Debug for PlainToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainToken(…)")
    }
}

/// The SHA-256 of a secret. Comparing two takes the same time whatever they hold (req C7).
#[derive(Clone, Copy)]
pub struct HashedToken([u8; 32]);

impl HashedToken {
    /// From the store.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Of a token that is no secret of ours.
    pub fn of(token: &SecretText) -> Self {
        Self::from_digest(&digest::digest(&digest::SHA256, token.reveal().as_bytes()))
    }

    fn from_digest(digest: &digest::Digest) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.as_ref());
        Self(bytes)
    }

    /// To the store.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for HashedToken {
    fn eq(&self, other: &Self) -> bool {
        constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl Eq for HashedToken {}

impl std::hash::Hash for HashedToken {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Debug for HashedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashedToken(…)")
    }
}

/// A credential whose form is not ours alone (a JWT), on its way from a carrier to the verifier. Wiped, never printed.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct SecretText(String);

impl SecretText {
    /// Take it off the wire.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for verification alone.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_kind_is_never_taken_for_another() {
        // req F11
        let kinds = [TokenKind::Session, TokenKind::Refresh, TokenKind::Ticket, TokenKind::ApiKey];
        for made in kinds {
            let token = PlainToken::from_random(made, [7; 32]);
            assert_eq!(token.reveal().len(), TOKEN_LENGTH);
            for asked in kinds {
                assert_eq!(PlainToken::parse(asked, token.reveal()).is_some(), made == asked);
            }
        }
    }

    #[test]
    fn a_successor_is_another_secret_of_the_same_family() {
        // req D1, L1
        let first = PlainToken::from_random(TokenKind::Refresh, [1; 32]);
        let second = first.successor(TokenKind::Refresh, [2; 32]);
        let third = second.successor(TokenKind::Refresh, [3; 32]);
        assert!(PlainToken::parse(TokenKind::Refresh, second.reveal()).is_some(), "it has the form of one");
        assert_ne!(first.hashed(), second.hashed());
        assert_ne!(second.hashed(), third.hashed());
        assert_eq!((first.family(), second.family()), (second.family(), third.family()));
        assert_ne!(first.family(), PlainToken::from_random(TokenKind::Refresh, [2; 32]).family());
        assert_ne!(first.family(), first.hashed());
        assert_eq!(
            second.reveal()[FAMILY_LENGTH + 1..],
            PlainToken::from_random(TokenKind::Refresh, [2; 32]).reveal()[FAMILY_LENGTH + 1..]
        );
    }

    #[test]
    fn debug_shows_nothing() {
        // req N3
        let token = PlainToken::from_random(TokenKind::Session, [7; 32]);
        assert_eq!(
            format!("{token:?} {:?} {:?}", token.hashed(), SecretText::new("abc")),
            "PlainToken(…) HashedToken(…) SecretText(…)"
        );
    }

    #[test]
    fn equal_secrets_hash_equal() {
        let one = PlainToken::from_random(TokenKind::Ticket, [1; 32]);
        let two = PlainToken::from_random(TokenKind::Ticket, [2; 32]);
        assert_eq!(one.hashed(), one.clone().hashed());
        assert_ne!(one.hashed(), two.hashed());
    }
}
