//! From the sections as written to the types that the components take, with every rule that a single value cannot show.

use std::collections::{BTreeMap, BTreeSet};

use usher_auth::credential_lifetimes::CredentialLifetimes;
use usher_auth::origin::AllowedOrigins;
use usher_auth::room::RoomPolicy;
use usher_auth::route::RouteRules;
use usher_axum::SockJsSettings;

use super::admin::AdminSettings;
use super::issuers::{self, IssuerSettings};
use super::limits::LimitSettings;
use super::resolver::Resolver;
use super::routes::{self, RouteContext};
use super::server::ServerSettings;
use super::sessions::SessionSettings;
use super::store::StoreSettings;
use super::tokens::TokenSettings;
use super::{Config, ConfigErrors, Warning, rooms};
use crate::log::LogSettings;
use usher_audit::AuditSettings;

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

impl Config {
    /// Checks the configuration as a whole and turns it into what the components take. Reads the key files that it names.
    ///
    /// # Panics
    /// Never: a section that cannot be resolved says why.
    pub fn resolve(&self) -> Result<(ResolvedConfig, Vec<Warning>), ConfigErrors> {
        let mut resolver = Resolver::new(self);
        let resolved = self.resolve_sections(&mut resolver);
        let warnings = resolver.finish()?;
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
