//! Credentials as they are presented, and the ways in which they can be: before anything about them is verified.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::UserId;
use crate::secret::{HashedToken, PlainToken, SESSION_KEY_PREFIX, SecretText, TokenKind};

/// Longest credential that is looked at, in bytes (req F16).
pub const MAX_CREDENTIAL_BYTES: usize = 8 * 1024;

/// A way to present a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Carrier {
    /// The session cookie at the upgrade.
    Cookie,
    /// `?token=…`.
    Query,
    /// `?ticket=…`.
    Ticket,
    /// `{"type":"auth","token":"…"}` as the first data frame.
    FirstMessage,
    /// `Authorization: Bearer …` or `X-Api-Key`.
    Header,
    /// `Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.…`.
    Subprotocol,
    /// `{"auth":"user:key"}` or `{"type":"auth",…}` as the first message of a SockJS session.
    Sockjs,
}

impl Carrier {
    /// Every carrier.
    pub const ALL: [Self; 7] =
        [Self::Cookie, Self::Query, Self::Ticket, Self::FirstMessage, Self::Header, Self::Subprotocol, Self::Sockjs];

    /// Its name in configuration, frames, logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cookie => "cookie",
            Self::Query => "query",
            Self::Ticket => "ticket",
            Self::FirstMessage => "first_message",
            Self::Header => "header",
            Self::Subprotocol => "subprotocol",
            Self::Sockjs => "sockjs",
        }
    }
}

impl fmt::Display for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Carrier {
    type Err = String;
    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|carrier| carrier.as_str() == name)
            .ok_or_else(|| format!("{name:?} is not a carrier"))
    }
}

/// A set of carriers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CarrierSet(u32);

// Each carrier has a bit of its own, and `ALL` names them in the order of their bits.
const _: () = {
    let mut at = 0;
    while at < Carrier::ALL.len() {
        assert!(Carrier::ALL[at] as usize == at, "Carrier::ALL has another order than the variants");
        assert!(at < u32::BITS as usize, "a carrier does not fit into CarrierSet");
        at += 1;
    }
};

impl CarrierSet {
    /// Whether `carrier` is in it.
    pub const fn contains(self, carrier: Carrier) -> bool {
        self.0 & (1 << carrier as u32) != 0
    }

    /// Whether it holds `carrier` and nothing else.
    pub fn is_only(self, carrier: Carrier) -> bool {
        self == Self::from_iter([carrier])
    }

    /// Its members.
    pub fn iter(self) -> impl Iterator<Item = Carrier> {
        Carrier::ALL.into_iter().filter(move |carrier| self.contains(*carrier))
    }

    /// Whether nothing is in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Carrier> for CarrierSet {
    fn from_iter<I: IntoIterator<Item = Carrier>>(carriers: I) -> Self {
        Self(carriers.into_iter().fold(0, |set, carrier| set | 1 << carrier as u32))
    }
}

/// A credential as presented, told apart by its form alone. Nothing about it has been verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A session cookie's secret.
    Session(PlainToken),
    /// What looks like a JWT: everything that is nothing else.
    Token(SecretText),
    /// An API key, perhaps with the user it should be of.
    ApiKey {
        /// From `user:key`.
        user: Option<UserId>,
        /// The key.
        key: PlainToken,
    },
    /// A session key with the user it should be of, from the `auth` of a SockJS message and from nowhere else.
    SessionKey {
        /// Whose it is said to be.
        user: UserId,
        /// The key, with its prefix.
        key: SecretText,
    },
    /// A token with the user it should be of, from the same place.
    TokenOf {
        /// Whose it is said to be.
        user: UserId,
        /// What looks like a JWT.
        token: SecretText,
    },
    /// A single-use ticket.
    Ticket(PlainToken),
    /// Nothing of ours by its form: too long, a broken prefix.
    Unrecognised,
}

impl Credential {
    /// Tells a token, an API key and a ticket apart.
    pub fn classify(text: &str) -> Self {
        if text.is_empty() || text.len() > MAX_CREDENTIAL_BYTES {
            return Self::Unrecognised;
        }
        if text.starts_with(TokenKind::Ticket.prefix()) {
            return PlainToken::parse(TokenKind::Ticket, text).map_or(Self::Unrecognised, Self::Ticket);
        }
        if let Some(credential) = Self::api_key(text) {
            return credential;
        }
        if text.starts_with(SESSION_KEY_PREFIX) {
            return Self::Unrecognised;
        }
        Self::Token(SecretText::new(text))
    }

    /// What the `auth` of a SockJS message is: `user:key`, where the key is an API key, a session key or a token, or one of these but
    /// the session key alone. The user ends at the last colon, because ids may contain one (`issuer:sub`) and keys never do.
    pub fn classify_user_key(text: &str) -> Self {
        let Some((user, key)) = text.rsplit_once(':') else { return Self::classify(text) };
        if text.len() > MAX_CREDENTIAL_BYTES || key.is_empty() {
            return Self::Unrecognised;
        }
        if key.starts_with(TokenKind::ApiKey.prefix()) {
            return Self::api_key(text).unwrap_or(Self::Unrecognised);
        }
        let Ok(user) = UserId::new(user) else { return Self::Unrecognised };
        let text = SecretText::new(key);
        if key.starts_with(SESSION_KEY_PREFIX) {
            Self::SessionKey { user, key: text }
        } else {
            Self::TokenOf { user, token: text }
        }
    }

    /// The user that a credential is said to be of, where it says so.
    pub fn claimed_user(&self) -> Option<&UserId> {
        match self {
            Self::ApiKey { user, .. } => user.as_ref(),
            Self::SessionKey { user, .. } | Self::TokenOf { user, .. } => Some(user),
            Self::Session(_) | Self::Token(_) | Self::Ticket(_) | Self::Unrecognised => None,
        }
    }

    /// Tells a token and an API key apart, where a ticket has no business.
    pub fn classify_lasting(text: &str) -> Self {
        match Self::classify(text) {
            Self::Ticket(_) => Self::Unrecognised,
            other => other,
        }
    }

    /// By which it is recognised when it comes again: a hash of what was presented. `None` if that was nothing of ours.
    pub fn fingerprint(&self) -> Option<HashedToken> {
        match self {
            Self::Session(secret) | Self::Ticket(secret) | Self::ApiKey { key: secret, .. } => Some(secret.hashed()),
            Self::Token(text) | Self::TokenOf { token: text, .. } | Self::SessionKey { key: text, .. } => {
                Some(HashedToken::of(text))
            }
            Self::Unrecognised => None,
        }
    }

    /// `user:key` or the key alone; `None` if it is neither by its form.
    pub(crate) fn api_key(text: &str) -> Option<Self> {
        let (user, key) = match text.rsplit_once(':') {
            Some((user, key)) => (Some(UserId::new(user).ok()), key),
            None if text.starts_with(TokenKind::ApiKey.prefix()) => (None, text),
            None => return None,
        };
        Some(match (user, PlainToken::parse(TokenKind::ApiKey, key)) {
            (None, Some(key)) => Self::ApiKey { user: None, key },
            (Some(Some(user)), Some(key)) => Self::ApiKey { user: Some(user), key },
            _ => Self::Unrecognised,
        })
    }
}
