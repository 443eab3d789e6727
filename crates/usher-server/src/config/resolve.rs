//! From the sections as written to the types that the components take, with every rule that a single value cannot show.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use usher_auth::credential_lifetimes::CredentialLifetimes;
use usher_auth::origin::AllowedOrigins;
use usher_auth::room::RoomPolicy;
use usher_auth::route::RouteRules;
use usher_axum::SockJsSettings;

use super::admin::AdminSettings;
use super::issuers::{self, IssuerSettings};
use super::limits::LimitSettings;
use super::routes::{self, RouteContext};
use super::server::ServerSettings;
use super::sessions::SessionSettings;
use super::store::StoreSettings;
use super::tokens::TokenSettings;
use super::units::TimeSpan;
use super::{Config, ConfigErrors, Location, Problem, Warning, rooms};
use crate::audit::AuditSettings;
use crate::log::LogSettings;

/// A configuration that is complete, consistent and safe.
#[derive(Clone, Debug)]
pub struct ResolvedConfig {
    /// Where clients come in.
    pub server: ServerSettings,
    /// Where operators do, if they do.
    pub admin: Option<AdminSettings>,
    /// Where things are remembered.
    pub store: StoreSettings,
    /// Our own tokens and tickets.
    pub tokens: TokenSettings,
    /// Log-ins and their cookie.
    pub sessions: SessionSettings,
    /// Others whose tokens are taken.
    pub issuers: Vec<IssuerSettings>,
    /// The WebSocket routes.
    pub routes: Vec<RouteRules>,
    /// The SockJS endpoint, if there is one.
    pub sockjs: Option<SockJsSettings>,
    /// The pages that may call the HTTP API: our own, and those that any route lists.
    pub api_origins: AllowedOrigins,
    /// The rules over rooms.
    pub rooms: RoomPolicy,
    /// The claims that those rules ask for; of a token no others need to be kept.
    pub room_claims: BTreeSet<String>,
    /// How much of everything.
    pub limits: LimitSettings,
    /// Where it is recorded what happens.
    pub audit: AuditSettings,
    /// What is logged, and how.
    pub log: LogSettings,
    /// Every key with its value, as it is written or by default.
    pub written: BTreeMap<String, serde_json::Value>,
}

impl ResolvedConfig {
    /// How long credentials live, and so how long revocations are remembered.
    pub fn lifetimes(&self) -> CredentialLifetimes {
        let issuer_token = self.issuers.iter().map(|issuer| issuer.rules.max_lifetime).max().unwrap_or_default();
        let TokenSettings { access_ttl, ticket_ttl, leeway, .. } = self.tokens;
        CredentialLifetimes { access_token: access_ttl, ticket: ticket_ttl, issuer_token, leeway }
    }
}

/// Collects what is wrong while the sections are resolved.
pub(super) struct Resolver<'a> {
    config: &'a Config,
    problems: Vec<Problem>,
    warnings: Vec<Warning>,
}

impl Config {
    /// Checks the configuration as a whole and turns it into what the components take. Reads the key files that it names.
    ///
    /// # Panics
    /// Never: a section that cannot be resolved says why.
    pub fn resolve(&self) -> Result<(ResolvedConfig, Vec<Warning>), ConfigErrors> {
        let mut resolver = Resolver { config: self, problems: Vec::new(), warnings: Vec::new() };
        let resolved = self.resolve_sections(&mut resolver);
        let Resolver { mut problems, warnings, .. } = resolver;
        problems.sort_by_key(|problem| problem.location.line());
        ConfigErrors::check(problems)?;
        Ok((resolved.expect("a section that cannot be resolved says why"), warnings))
    }

    fn resolve_sections(&self, resolver: &mut Resolver<'_>) -> Option<ResolvedConfig> {
        let server = self.server.resolve(resolver);
        let admin = self.admin.as_ref().map(|admin| admin.resolve(&self.server, resolver));
        let store = self.store.resolve(resolver);
        let tokens = self.tokens.resolve(server.as_ref(), store.as_ref(), resolver);
        let sessions = self.sessions.resolve(server.as_ref(), resolver);
        let issuers = issuers::resolve(&self.issuers, tokens.as_ref(), resolver);
        let (rooms, room_claims) = rooms::resolve(&self.rooms, resolver);
        let limits = self.limits.resolve(resolver);
        let audit = self.audit.resolve(store.as_ref(), resolver);
        let log = self.log.resolve(resolver);
        let server = server?;
        let context = RouteContext {
            server: &server,
            sessions: &self.sessions,
            message: self.limits.message,
            heartbeat: self.limits.heartbeat,
        };
        let routes = routes::resolve(&self.routes, &context, resolver);
        let sockjs = self.sockjs.as_ref().map(|sockjs| sockjs.resolve(&self.routes, &context, resolver));
        let all_rules = routes.iter().chain(sockjs.as_ref().map(|sockjs| &sockjs.rules));
        Some(ResolvedConfig {
            api_origins: routes::api_origins(&server.public_url, all_rules),
            server,
            admin: match admin {
                Some(admin) => Some(admin?),
                None => None,
            },
            store: store?,
            tokens: tokens?,
            sessions: sessions?,
            issuers,
            routes,
            sockjs,
            rooms,
            room_claims,
            limits,
            audit,
            log,
            written: self.values(),
        })
    }
}

impl Resolver<'_> {
    /// Something is wrong with the value of `key`.
    pub(super) fn problem(&mut self, key: impl Into<String>, reason: impl Into<String>, advice: impl Into<Advice>) {
        let key = key.into();
        let location = self.config.location(&key);
        self.problems.push(Problem { location, key, reason: reason.into(), advice: advice.into().0 });
    }

    /// The operator should know what the value of `key` means.
    pub(super) fn warn(&mut self, key: impl Into<String>, message: impl Into<String>) {
        let key = key.into();
        self.warnings.push(Warning { location: self.config.location(&key), key, message: message.into() });
    }

    /// The value, or a problem with the error's own words.
    pub(super) fn checked<T, E: ToString>(&mut self, key: &str, value: Result<T, E>) -> Option<T> {
        value.map_err(|error| self.problem(key, error.to_string(), Advice::none())).ok()
    }

    /// A duration that must be more than zero, and at most `most`.
    pub(super) fn span(&mut self, key: &str, span: TimeSpan, most: Option<TimeSpan>) -> Duration {
        if span.0.is_zero() {
            self.problem(key, "0 would end everything before it begins", "write how long it may last, such as \"30s\"");
        } else if let Some(most) = most.filter(|most| span > *most) {
            self.problem(key, format!("{span} is too long"), format!("write at most {most}"));
        }
        span.0
    }

    /// Warns where others may read a file that holds a secret.
    ///
    /// Our own signing key is refused then (see `signing_key_file`): we made it, and know how. These files others put there, and a
    /// certificate's key that a group may read, or a Kubernetes secret of mode 0644, is too common to keep a server from starting.
    pub(super) fn warn_if_exposed(&mut self, key: &str, path: &Path) {
        let mode = std::fs::metadata(path).map_or(0, |metadata| metadata.mode() & 0o7777);
        if mode & 0o077 != 0 {
            self.warn(
                key,
                format!("{} may be read by others (mode {mode:04o}): run `chmod 600` on it", path.display()),
            );
        }
    }

    /// A path as configured, from the folder of the configuration file.
    pub(super) fn path(&self, path: &Path) -> PathBuf {
        self.config.written.folder.join(path)
    }
}

/// What to do about a problem, where its reason does not say so.
pub(super) struct Advice(Option<String>);

impl Advice {
    /// The reason says it.
    pub(super) fn none() -> Self {
        Self(None)
    }
}

impl From<&str> for Advice {
    fn from(text: &str) -> Self {
        Self(Some(text.to_owned()))
    }
}

impl From<String> for Advice {
    fn from(text: String) -> Self {
        Self(Some(text))
    }
}

impl<T: Into<String>> From<Option<T>> for Advice {
    fn from(text: Option<T>) -> Self {
        Self(text.map(Into::into))
    }
}

impl Location {
    /// For sorting: the file from top to bottom, then everything else.
    pub(super) fn line(&self) -> usize {
        match self {
            Self::Line(_, line) => *line,
            Self::File(_) => 0,
            Self::Default | Self::Environment(_) => usize::MAX,
        }
    }
}
