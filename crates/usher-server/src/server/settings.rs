//! What a server is assembled from: what the operator decides, and the parts.

use std::sync::Arc;
use std::time::Duration;
use usher_accounts::PasswordHasher;
use usher_accounts::SessionFeed;
use usher_audit::AuditTrail;
use usher_auth::credential_lifetimes::CredentialLifetimes;
use usher_auth::jwt::{AccessTokenProfile, KeyRing, TokenVerifier};
use usher_auth::origin::AllowedOrigins;
use usher_auth::room::RoomPolicy;
use usher_auth::route::RouteRules;
use usher_auth::session::SessionLimits;
use usher_auth::throttle::MessageRate;
use usher_auth::{Clock, Randomness};
use usher_axum::{
    ConnectionLimits, FailureLimits, IssuerKeys, LoginLimits, SockJsSettings, TrustedProxies, WaitingLimits,
};
use usher_rooms::RoomLimits;
use usher_store::{Store, TicketStore};
use zeroize::Zeroizing;

use crate::cookies::CookieSettings;
use crate::metrics::Metrics;

/// What the operator decides.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// The WebSocket routes.
    pub routes: Vec<RouteRules>,
    /// The rooms.
    pub rooms: RoomPolicy,
    /// Bounds of rooms.
    pub room_limits: RoomLimits,
    /// The session cookie.
    pub cookies: CookieSettings,
    /// The pages that may use the HTTP API with their visitors' cookies.
    pub origins: AllowedOrigins,
    /// Whether browsers reach us by HTTPS alone.
    pub https: bool,
    /// How long sessions last.
    pub session_limits: SessionLimits,
    /// What our access tokens say of whence and whither.
    pub token_profile: AccessTokenProfile,
    /// How long an access token lasts.
    pub access_ttl: Duration,
    /// How long a refresh token lasts.
    pub refresh_ttl: Duration,
    /// How long a ticket lasts.
    pub ticket_ttl: Duration,
    /// How many failed credentials are let pass.
    pub failures: FailureLimits,
    /// How many log-ins may succeed.
    pub logins: LoginLimits,
    /// How many sockets may wait for a first message.
    pub waiting: WaitingLimits,
    /// How many sockets may be open that were let in as anonymous.
    pub anonymous: WaitingLimits,
    /// How many open connections a user and a session may have.
    pub connections: ConnectionLimits,
    /// Most sessions of one user.
    pub sessions_per_user: usize,
    /// How long credentials live, and so how long revocations are remembered.
    pub lifetimes: CredentialLifetimes,
    /// How fast a client may send.
    pub messages: MessageRate,
    /// Most bytes that may be queued for one client.
    pub outbound_limit: usize,
    /// Whose word about a client's address is believed.
    pub trusted_proxies: TrustedProxies,
    /// Whether the boards page is served at `/`.
    pub boards_page: bool,
    /// The SockJS endpoint, if there is one.
    pub sockjs: Option<SockJsSettings>,
}

/// What the server stands on.
pub struct ServerParts {
    /// What is remembered.
    pub store: Arc<dyn Store>,
    /// What the store remembers of sessions and revocations, and how changes of it are heard of.
    pub sessions: SessionFeed,
    /// Tickets.
    pub tickets: Arc<dyn TicketStore>,
    /// The keys our tokens are signed with.
    pub keys: KeyRing,
    /// The verifier of tokens: ours and the configured issuers'.
    pub tokens: Arc<TokenVerifier>,
    /// Where the issuers' keys come from.
    pub issuer_keys: IssuerKeys,
    /// Passwords.
    pub passwords: PasswordHasher,
    /// What hashes the addresses that accounts were used from.
    pub address_key: Zeroizing<[u8; 32]>,
    /// What happens is recorded.
    pub audit: AuditTrail,
    /// What happens is counted.
    pub metrics: Metrics,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub randomness: Arc<dyn Randomness>,
}
