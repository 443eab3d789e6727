//! `[tokens]`: the tokens and tickets that we give out.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use usher_auth::credential_lifetimes::MAX_ACCESS_TOKEN_LIFE;

use super::resolver::Resolver;
use super::server::ServerSettings;
use super::store::StoreSettings;
use super::units::TimeSpan;

/// Longest life of a ticket (req D4).
const MAX_TICKET_TTL: TimeSpan = TimeSpan::seconds(60);
/// Most that two clocks may differ (req F8).
const MAX_LEEWAY: TimeSpan = TimeSpan::seconds(60);
/// Longest life of an access token: it is checked against revocations, but not looked up.
const MAX_ACCESS_TTL: TimeSpan = TimeSpan(MAX_ACCESS_TOKEN_LIFE);
const KEY_FILE: &str = "usher-signing-key.pem";

/// The tokens and tickets that we give out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tokens {
    /// The `iss` of our tokens. Absent, it is server.public_url.
    #[schemars(example = &"https://chat.example.com")]
    pub issuer: Option<String>,
    /// The `aud` of our tokens, and what it must contain when they come back.
    pub audience: String,
    /// Life of an access token; at most 24h.
    pub access_ttl: TimeSpan,
    /// Life of a refresh token. Using it gives a new one.
    pub refresh_ttl: TimeSpan,
    /// Life of a ticket; at most 60s.
    pub ticket_ttl: TimeSpan,
    /// The private key that signs our tokens, as PEM; made on first start, readable by its owner alone. Absent, it is
    /// usher-signing-key.pem beside the store.
    #[schemars(example = &"usher-signing-key.pem")]
    pub key_file: Option<PathBuf>,
    /// How far another machine's clock may be off when it issued a token; at most 60s.
    pub leeway: TimeSpan,
}

/// `[tokens]`, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSettings {
    /// Our `iss`.
    pub issuer: String,
    /// Our `aud`.
    pub audience: String,
    /// Life of an access token.
    pub access_ttl: Duration,
    /// Life of a refresh token.
    pub refresh_ttl: Duration,
    /// Life of a ticket, at most 60 s.
    pub ticket_ttl: Duration,
    /// Where the signing key is, or will be.
    pub key_file: PathBuf,
    /// How far clocks may differ, at most 60 s.
    pub leeway: Duration,
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            issuer: None,
            audience: "usher".to_owned(),
            access_ttl: TimeSpan::seconds(10 * 60),
            refresh_ttl: TimeSpan::seconds(30 * 24 * 3600),
            ticket_ttl: TimeSpan::seconds(30),
            key_file: None,
            leeway: TimeSpan::seconds(30),
        }
    }
}

impl Tokens {
    pub(super) fn resolve(
        &self,
        server: Option<&ServerSettings>,
        store: Option<&StoreSettings>,
        resolver: &mut Resolver<'_>,
    ) -> Option<TokenSettings> {
        for (key, text) in [("tokens.issuer", self.issuer.as_deref()), ("tokens.audience", Some(&*self.audience))] {
            if text.is_some_and(|text| text.trim().is_empty()) {
                resolver.problem(key, "must not be empty", "remove the key to get its default");
            }
        }
        let access_ttl = resolver.span("tokens.access_ttl", self.access_ttl, Some(MAX_ACCESS_TTL));
        let refresh_ttl = resolver.span("tokens.refresh_ttl", self.refresh_ttl, None);
        if refresh_ttl < access_ttl {
            let reason = format!("{} is shorter than tokens.access_ttl ({})", self.refresh_ttl, self.access_ttl);
            resolver.problem(
                "tokens.refresh_ttl",
                reason,
                "an access token is renewed with a refresh token: let that live longer",
            );
        }
        if self.ticket_ttl > MAX_TICKET_TTL {
            resolver.problem(
                "tokens.ticket_ttl",
                format!(
                    "{} is too long: a ticket travels in a URL, and must be worthless before a log is read",
                    self.ticket_ttl
                ),
                "write at most 60s; a client buys a ticket right before it connects",
            );
        }
        if self.leeway > MAX_LEEWAY {
            resolver.problem(
                "tokens.leeway",
                format!("{} is too long: every token would live on for that time after its end", self.leeway),
                "write at most 60s, and set the machines' clocks by NTP",
            );
        }
        let ticket_ttl = resolver.span("tokens.ticket_ttl", self.ticket_ttl, None);
        let beside_store = || store.map(|store| store.folder().join(KEY_FILE));
        let key_file = self.key_file.as_ref().map(|path| resolver.path(path)).or_else(beside_store);
        let own = || server.map(|server| server.public_url.origin().ascii_serialization());
        Some(TokenSettings {
            issuer: self.issuer.clone().or_else(own)?,
            audience: self.audience.clone(),
            access_ttl,
            refresh_ttl,
            ticket_ttl,
            key_file: key_file?,
            leeway: self.leeway.0,
        })
    }
}
