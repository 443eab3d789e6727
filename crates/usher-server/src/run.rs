//! A configured server from start to shutdown: opens the store, takes in what it remembers, listens, serves, and stops.

mod serving;
mod stop;

use std::io;
use std::net::SocketAddr;
use std::num::NonZero;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_rustls::TlsAcceptor;
use usher_auth::jwt::{AccessTokenProfile, InvalidVerifier, IssuerRules, KeyRing, TokenVerifier, TrustedIssuer};
use usher_auth::throttle::MessageRate;
use usher_auth::{Clock, Randomness};
use usher_axum::ambient::{SystemClock, SystemRandomness};
use usher_axum::issuer_keys::InvalidKeySource;
use usher_axum::{ConnectionLimits, IssuerKeys, KeyFetchLimits, MemoryLimits};
use usher_rooms::RoomLimits;
use usher_store::StoreError;

use self::serving::{Serving, Signals};
use self::stop::stop;
use crate::address_key_file::{self, AddressKeyError};
use crate::admin::{Administration, IssuerUsers, RulesInForce};
use crate::backends::{self, BackendError};
use crate::config::{ConfigErrors, ResolvedConfig, TlsError, Warning};
use crate::listener::{self, Entrance};
use crate::metrics::Metrics;
use crate::open_files::{FittedLimits, OpenFiles};
use crate::preflight::look_before_starting;
use crate::server::{Server, ServerParts, ServerSettings};
use crate::signing_key_file::{self, SigningKeyError};
use usher_accounts::PasswordHasher;
use usher_accounts::SessionFeed;
use usher_audit::{AuditEvent, AuditKeyError, AuditKeys, AuditTrail, Outcome, Record};

/// Why a server did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Files that the server needs are missing or unusable: one line for each.
    #[error("{0}")]
    Preflight(String),
    /// The data cannot be opened, or another process uses it.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The store cannot be read.
    #[error("{0}: {source}", source = .0.source)]
    Store(#[from] StoreError),
    /// A setting of the SockJS endpoint cannot be.
    #[error("sockjs: {0}")]
    SockJs(#[from] usher_axum::SockJsConfigError),
    /// There is no key for the audit trail.
    #[error(transparent)]
    AuditKey(#[from] AuditKeyError),
    /// There is no key for the addresses that accounts were used from.
    #[error(transparent)]
    AddressKey(#[from] AddressKeyError),
    /// There is no key to sign with.
    #[error(transparent)]
    SigningKey(#[from] SigningKeyError),
    /// The issuers do not fit together.
    #[error(transparent)]
    Issuers(#[from] InvalidVerifier),
    /// An issuer's keys cannot be fetched from where they should.
    #[error(transparent)]
    IssuerKeys(#[from] InvalidKeySource),
    /// Certificate or key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The system does not say how many files may be open.
    #[error("the limit of open files cannot be read: {0}")]
    OpenFiles(#[source] io::Error),
    /// The system gives no signals.
    #[error("signals cannot be received: {0}")]
    Signals(#[source] io::Error),
}

/// Runs until a signal ends it. `ready` is told the address once clients may come.
///
/// `boards_page` serves the demo's page at `/`; `reload` reads the configuration again when a SIGHUP asks for it.
pub async fn run(
    config: ResolvedConfig,
    boards_page: bool,
    reload: impl Fn() -> Result<(ResolvedConfig, Vec<Warning>), ConfigErrors>,
    ready: impl FnOnce(SocketAddr) + Send,
) -> Result<(), RunError> {
    // Before anything is opened.
    let files = OpenFiles::raise().map_err(RunError::OpenFiles)?;
    let fitted = fitted(files, &config);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let randomness: Arc<dyn Randomness> = Arc::new(SystemRandomness);
    look_before_starting(&config, clock.now().unix).await.map_err(RunError::Preflight)?;
    let backends = backends::open(&config).await?;
    let begun = config.audit.have_begun(&*backends.audit).await?;
    let audit_keys = AuditKeys::load_or_create(&config.store.audit_key_file(), begun, &*randomness)?;
    let (audit, writer) = AuditTrail::new(config.audit.clone(), backends.audit.clone(), audit_keys, clock.clone());
    tokio::spawn(writer.run());
    let cores = available_parallelism().map_or(1, NonZero::get);
    let passwords = PasswordHasher::new(cores, randomness.clone());
    let address_key = address_key_file::load_or_create(&config.store.address_key_file(), &*randomness)?;
    let keys = signing_key_file::load_or_create(&config.tokens.key_file, backends.has_sessions().await?)?;
    let tokens = Arc::new(token_verifier(&config, &keys)?);
    let sources = config.issuers.iter().map(|issuer| (issuer.name.clone(), issuer.source.clone())).collect();
    let issuer_keys = IssuerKeys::new(sources, &tokens, &clock, KeyFetchLimits::default())?;
    let tls = match &config.server.tls {
        Some(files) => Some(TlsAcceptor::from(files.server_config()?)),
        None => None,
    };
    let proxied = config.server.plaintext_behind_proxy && tls.is_none();
    let trusted_proxies = config.server.trusted_proxies.clone();
    let only_from = proxied.then(|| trusted_proxies.clone());
    let admin_entrance = Entrance { tls: tls.clone(), limits: fitted.admin, ..Entrance::default() };
    let entrance = Entrance { tls, only_from, trusted_proxies, limits: fitted.http };
    // The lock keeps every other process from changing the store, and commands reach this one by the control socket: it hears of all changes.
    let memory = MemoryLimits::until_told();
    let sessions =
        SessionFeed::begin(&*backends.store, backends.events.clone(), config.sessions.limits, memory).await?;
    let revoked = sessions.revoked();
    let server = Arc::new(Server::assemble(
        settings(&config, &fitted, boards_page),
        ServerParts {
            store: backends.store.clone(),
            sessions,
            tickets: backends.tickets.clone(),
            keys,
            tokens,
            issuer_keys: issuer_keys.clone(),
            passwords: passwords.clone(),
            address_key,
            audit: audit.clone(),
            metrics: Metrics::default(),
            clock: clock.clone(),
            randomness: randomness.clone(),
        },
    )?);
    server.load_known_addresses().await?;
    let administration = Arc::new(Administration {
        store: Arc::new(server.store().clone()),
        revoker: Arc::new(server.revoker().clone()),
        passwords,
        rooms: RulesInForce::Server(server.rooms().clone()),
        issuers: IssuerUsers::of(&config.issuers),
        session_limits: config.sessions.limits,
        lifetimes: config.lifetimes(),
        most_api_keys: config.limits.per_user.api_keys,
        backup: backends.backup.clone(),
        audit: audit.clone(),
        clock,
        randomness: randomness.clone(),
        turn: tokio::sync::Mutex::default(),
        requests: server.requests().clone(),
    });
    let address = config.server.listen;
    let listener = listener::listen(address).map_err(|source| RunError::Listen { address, source })?;
    let address = listener.local_addr().map_err(|source| RunError::Listen { address, source })?;
    let admin = admin_listener(&config)?;
    // Before the log says that it listens: a signal that comes then must not end the process as it would by default.
    let hangups = signal(SignalKind::hangup()).map_err(RunError::Signals)?;
    let signals = Signals::new().map_err(RunError::Signals)?;
    tracing::info!(%address, public_url = %config.server.public_url, revoked, "listening");
    audit.record(Record::new(AuditEvent::Startup, Outcome::Success).detail(env!("CARGO_PKG_VERSION")));
    ready(address);
    Serving {
        server: server.clone(),
        administration,
        backends: &backends,
        config: &config,
        issuer_keys: &issuer_keys,
        entrance,
        admin_entrance,
        listener,
        admin,
        files,
    }
    .until_stopped(hangups, signals, &reload)
    .await;
    stop(&server, &audit, &backends).await;
    Ok(())
}

/// The operators' listener, if there is to be one.
fn admin_listener(config: &ResolvedConfig) -> Result<Option<TcpListener>, RunError> {
    let Some(address) = config.admin.as_ref().map(|admin| admin.listen) else { return Ok(None) };
    let failed = |source| RunError::Listen { address, source };
    let listener = listener::listen(address).map_err(failed)?;
    tracing::info!(address = %listener.local_addr().map_err(failed)?, "listening for operators");
    Ok(Some(listener))
}

/// Ours first, then the configured issuers, with the keys that are known already.
fn token_verifier(config: &ResolvedConfig, keys: &KeyRing) -> Result<TokenVerifier, InvalidVerifier> {
    let tokens = &config.tokens;
    // One that lives longer is from an earlier configuration. It is refused, because a revocation is remembered for no longer than this. The
    // second is for a setting that is no whole number of them: a token's times are.
    let own = IssuerRules {
        max_lifetime: tokens.access_ttl + Duration::from_secs(1),
        ..IssuerRules::own(tokens.issuer.clone(), tokens.audience.clone(), tokens.leeway)
    };
    let mut issuers = vec![TrustedIssuer::new(own, keys.verification_keys())];
    for issuer in &config.issuers {
        let keys = issuer.keys.clone().unwrap_or_default();
        issuers.push(TrustedIssuer::new(issuer.rules.clone(), keys));
    }
    TokenVerifier::new(issuers, config.room_claims.clone())
}

/// The limits that the process can keep. If they are not the configured ones, that is logged.
fn fitted(files: OpenFiles, config: &ResolvedConfig) -> FittedLimits {
    let fitted = files.fit(&config.limits);
    if let Some(warning) = &fitted.warning {
        tracing::warn!("{warning}");
    }
    fitted
}

fn settings(config: &ResolvedConfig, fitted: &FittedLimits, boards_page: bool) -> ServerSettings {
    ServerSettings {
        routes: config.routes.clone(),
        rooms: config.rooms.clone(),
        room_limits: RoomLimits { rooms_per_connection: config.limits.rooms_per_connection, ..RoomLimits::default() },
        cookies: config.sessions.cookie.clone(),
        origins: config.api_origins.clone(),
        https: config.server.public_url.scheme() == "https",
        session_limits: config.sessions.limits,
        token_profile: AccessTokenProfile {
            issuer: config.tokens.issuer.clone(),
            audience: config.tokens.audience.clone(),
        },
        access_ttl: config.tokens.access_ttl,
        refresh_ttl: config.tokens.refresh_ttl,
        ticket_ttl: config.tokens.ticket_ttl,
        failures: config.limits.failures,
        logins: config.limits.logins,
        waiting: fitted.waiting,
        anonymous: fitted.anonymous,
        connections: ConnectionLimits {
            per_user: config.limits.connections_per_user,
            per_session: config.limits.connections_per_session,
        },
        sessions_per_user: config.limits.per_user.sessions,
        lifetimes: config.lifetimes(),
        messages: MessageRate {
            interval: config.limits.messages.per / config.limits.messages.count,
            burst: config.limits.messages.burst,
        },
        outbound_limit: config.limits.outbound_bytes,
        trusted_proxies: config.server.trusted_proxies.clone(),
        boards_page,
        sockjs: config.sockjs.clone(),
    }
}
