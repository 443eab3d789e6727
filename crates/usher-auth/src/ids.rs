//! Newtypes for everything that has a name: users, sessions, connections, tokens, keys, issuers.

mod random_bytes;

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

pub use random_bytes::{ConnectionId, InvalidIdText, NodeId};

/// Longest id we store or send, in bytes of UTF-8.
pub const MAX_ID_BYTES: usize = 256;

/// An id that breaks the rules of its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// Nothing there.
    #[error("an id must not be empty")]
    Empty,
    /// More than [`MAX_ID_BYTES`], or for another issuer's names [`MAX_ISSUER_TEXT_BYTES`].
    #[error("an id may have at most {MAX_ID_BYTES} bytes")]
    TooLong,
    /// A control or white-space character.
    #[error("an id must not contain spaces or control characters")]
    Control,
    /// A colon in a local user id: the colon separates an issuer's name from its subject.
    #[error("a local user id must not contain ':'")]
    Colon,
}

fn check(text: &str) -> Result<(), InvalidId> {
    if text.is_empty() {
        return Err(InvalidId::Empty);
    }
    if text.len() > MAX_ID_BYTES {
        return Err(InvalidId::TooLong);
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(InvalidId::Control);
    }
    Ok(())
}

/// Longest name that another issuer's token can give: the token itself is no longer.
pub const MAX_ISSUER_TEXT_BYTES: usize = crate::jwt::MAX_TOKEN_BYTES;

/// For what another party has named. It is compared byte by byte and never interpreted, so that its characters do not matter.
fn check_opaque(text: &str) -> Result<(), InvalidId> {
    match text.len() {
        0 => Err(InvalidId::Empty),
        1..=MAX_ISSUER_TEXT_BYTES => Ok(()),
        _ => Err(InvalidId::TooLong),
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        text_id!($(#[$doc])* $name, check, "Checks length (1 to 256 bytes) and that no white space or control character is in it.");
    };
    ($(#[$doc:meta])* $name:ident, $check:ident, $rule:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            #[doc = $rule]
            pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidId> {
                $check(text.as_ref())?;
                Ok(Self(Arc::from(text.as_ref())))
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:?})", stringify!($name), &*self.0)
            }
        }
    };
}

text_id! {
    /// Who somebody is, on the wire and in the store. Local users have no colon in it; a configured issuer's are
    /// `<issuer name>:<sub>`; anonymous ones `anonymous:<connection>`.
    UserId
}
text_id! {
    /// A session's public name: safe to show to its owner and to log as a keyed hash. The secret that proves the session is
    /// something else ([`crate::secret::PlainToken`]).
    SessionId
}
text_id! {
    /// The `jti` of a token.
    TokenId
}
text_id! {
    /// An API key's public name. The key itself is a [`crate::secret::PlainToken`].
    ApiKeyId
}
text_id! {
    /// The configured name of a token issuer, such as `google`.
    IssuerName
}
text_id! {
    /// The `sub` of another issuer's token, as the issuer wrote it.
    IssuerSubject, check_opaque, "Checks the length alone (1 to 8192 bytes)."
}
text_id! {
    /// The `sid` of another issuer's token: the issuer's own session, not one of ours.
    IssuerSessionId, check_opaque, "Checks the length alone (1 to 8192 bytes)."
}
text_id! {
    /// A role, such as `user` or `admin`.
    Role
}

impl UserId {
    /// A user of our own store: the general rules, and no colon.
    pub fn local(text: impl AsRef<str>) -> Result<Self, InvalidId> {
        if text.as_ref().contains(':') {
            return Err(InvalidId::Colon);
        }
        Self::new(text)
    }

    /// Whether this is a user of our own store, by its form.
    pub fn is_local(&self) -> bool {
        !self.0.contains(':')
    }
}

macro_rules! random_id {
    ($name:ident, $prefix:literal) => {
        impl $name {
            /// From 16 random bytes: 128 bits, base64url, with a prefix that says what it is.
            pub fn from_random(bytes: [u8; 16]) -> Self {
                Self(Arc::from(format!(concat!($prefix, "{}"), URL_SAFE_NO_PAD.encode(bytes))))
            }
        }
    };
}

random_id!(SessionId, "ses_");
random_id!(TokenId, "jti_");
random_id!(ApiKeyId, "key_");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_are_checked() {
        assert_eq!(UserId::new(""), Err(InvalidId::Empty));
        assert_eq!(UserId::new("a b"), Err(InvalidId::Control));
        assert_eq!(UserId::new("a\u{0}"), Err(InvalidId::Control));
        assert_eq!(UserId::new("x".repeat(257)), Err(InvalidId::TooLong));
        assert_eq!(UserId::local("a:b"), Err(InvalidId::Colon));
        assert!(UserId::new("google:1").is_ok_and(|id| !id.is_local()));
        assert_eq!(IssuerSessionId::new(""), Err(InvalidId::Empty));
        assert!(IssuerSessionId::new("a b\u{0}").is_ok(), "another issuer's own text");
        assert_eq!(IssuerSubject::new("x".repeat(MAX_ISSUER_TEXT_BYTES + 1)), Err(InvalidId::TooLong));
    }

    /// The id is read back from its text and from its JSON, and nothing is read that `new` would refuse.
    macro_rules! round_trip {
        ($text:expr, $($name:ident),+) => {$(
            let text: &str = $text;
            match $name::new(text) {
                Ok(id) => {
                    prop_assert_eq!(id.as_str().parse(), Ok(id.clone()));
                    prop_assert_eq!(id.to_string(), text);
                    let json = serde_json::to_string(&id).expect("JSON");
                    prop_assert_eq!(serde_json::from_str::<$name>(&json).expect("what was written"), id);
                }
                Err(error) => {
                    prop_assert_eq!(text.parse::<$name>(), Err(error));
                    let json = serde_json::to_string(text).expect("JSON");
                    prop_assert!(serde_json::from_str::<$name>(&json).is_err());
                }
            }
        )+};
    }

    proptest! {
        #[test]
        fn every_text_id_is_read_back(text in prop_oneof![".{0,80}", "[a-z0-9:_-]{1,40}"]) {
            round_trip!(text.as_str(), UserId, SessionId, TokenId, ApiKeyId, IssuerName, Role);
        }
    }
}
