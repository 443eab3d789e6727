//! A configured server from start to shutdown: opens the store, takes in what it remembers, listens, and drains.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::num::NonZero;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use usher_auth::jwt::{AccessTokenProfile, InvalidVerifier, IssuerRules, KeyRing, TokenVerifier, TrustedIssuer};
use usher_auth::throttle::MessageRate;
use usher_auth::{Clock, Randomness};
use usher_axum::ambient::{SystemClock, SystemRandomness};
use usher_axum::issuer_keys::InvalidKeySource;
use usher_axum::{ConnectionLimits, IssuerKeys, KeyFetchLimits, MemoryLimits};
use usher_rooms::RoomLimits;
use usher_store::StoreError;

use crate::address_key_file::{self, AddressKeyError};
use crate::admin::{Administration, IssuerUsers, RulesInForce};
use crate::audit::{AuditEvent, AuditKeyError, AuditKeys, AuditTrail, Outcome, Record};
use crate::backends::{self, BackendError};
use crate::config::{ConfigErrors, ResolvedConfig, TlsError, Warning};
use crate::listener::{self, Entrance};
use crate::metrics::Metrics;
use crate::open_files::{FittedLimits, OpenFiles};
use crate::passwords::PasswordHasher;
use crate::preflight::look_before_starting;
use crate::reload::needing_restart;
use crate::server::{Server, ServerParts, ServerSettings};
use crate::session_feed::SessionFeed;
use crate::signing_key_file::{self, SigningKeyError};

/// How long the store has at a shutdown to take the uses of sessions, and as long again for the addresses that accounts were used from.
const STORE_PATIENCE: Duration = Duration::from_secs(5);
/// How long the audit's sinks have at a shutdown to take what is queued.
const AUDIT_PATIENCE: Duration = Duration::from_secs(10);

/// How long the store has at a shutdown to finish what is under way and to move its write-ahead log into the file.
const CLOSE_PATIENCE: Duration = Duration::from_secs(10);

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
    let entrance_in_drain = entrance.clone();
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
    });
    let address = config.server.listen;
    let listener = listener::listen(address).map_err(|source| RunError::Listen { address, source })?;
    let address = listener.local_addr().map_err(|source| RunError::Listen { address, source })?;
    let admin = admin_listener(&config)?;
    // Before the log says that it listens: a signal that comes then must not end the process as it would by default.
    let hangups = signal(SignalKind::hangup()).map_err(RunError::Signals)?;
    let mut signals = Signals::new().map_err(RunError::Signals)?;
    tracing::info!(%address, public_url = %config.server.public_url, revoked, "listening");
    let serving = server.clone();
    let answer = move |request| serving.answer(request);
    audit.record(Record::new(AuditEvent::Startup, Outcome::Success).detail(env!("CARGO_PKG_VERSION")));
    ready(address);
    // These go on while connections are drained: an operation that has begun is finished, and a revocation still reaches who is in.
    let mut beside = std::pin::pin!(async {
        tokio::select! {
            () = backends.lock.serve(administration) => {}
            () = serve_admin(admin, admin_entrance, &server, &config) => {}
            () = server.update_rooms() => {}
            () = server.receive_events() => {}
            () = server.remember_addresses() => {}
            () = server.write_session_uses() => {}
        }
    });
    // A task, so that it runs where the connections do: from this thread, each would have to wake another.
    let (stop, stopped) = oneshot::channel::<()>();
    let mut accepting = tokio::spawn(listener::serve_until(listener, entrance, answer, async { drop(stopped.await) }));
    let mut accepts = true;
    tokio::select! {
        () = signals.next() => {}
        _ = &mut accepting => {
            tracing::error!("connections are accepted no more");
            accepts = false;
        }
        () = reload_on_hangup(&server, &config.written, hangups, files, &reload) => {}
        () = &mut beside => {}
        () = server.reap() => {}
        () = issuer_keys.keep_fresh() => {}
    }
    server.begin_drain();
    drop(stop);
    let listener = if accepts { accepting.await.ok() } else { None };
    tracing::info!(connections = server.connections().count(), "shutting down");
    // Without clients that come back to fetch the end, nothing can connect any more from here on.
    let listener = listener.filter(|_| server.has_polling_clients());
    let draining = server.clone();
    let answer = move |request| draining.answer_in_drain(request);
    let accepting = listener
        .map(|listener| tokio::spawn(listener::serve(listener, entrance_in_drain, answer, std::future::pending())));
    tokio::select! {
        _ = server.drain(config.server.drain) => {}
        () = beside => {}
        () = signals.next() => tracing::info!("a second signal: not waiting for the rest"),
    }
    if let Some(accepting) = accepting {
        accepting.abort();
    }
    // What fails of it is logged there.
    let _ = tokio::time::timeout(STORE_PATIENCE, server.write_new_session_uses()).await;
    let lost = server.store().unwritten();
    if lost > 0 {
        tracing::error!(
            sessions = lost,
            "uses of sessions were lost: the store did not take them before the end, and their idle limit counts from earlier"
        );
    }
    if tokio::time::timeout(STORE_PATIENCE, server.remember_new_addresses()).await.is_err() {
        tracing::warn!("known addresses were not saved: the store did not take them in time");
    }
    audit.record(Record::new(AuditEvent::Shutdown, Outcome::Success));
    if tokio::time::timeout(AUDIT_PATIENCE, audit.finish()).await.is_err() || audit.status().unwritten() > 0 {
        let records = audit.status().unwritten();
        tracing::error!(records, "audit records were lost: the sinks did not take them before the end");
    }
    if tokio::time::timeout(CLOSE_PATIENCE, backends.close()).await.is_err() {
        tracing::warn!("the store was not closed in time: its write-ahead log is read at the next start");
    }
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

/// Runs until it is dropped.
async fn serve_admin(listener: Option<TcpListener>, entrance: Entrance, server: &Server, config: &ResolvedConfig) {
    let Some(listener) = listener else { return std::future::pending().await };
    let mut hosts: Vec<url::Host> = config.server.public_url.host().map(|host| host.to_owned()).into_iter().collect();
    hosts.extend(listener.local_addr().ok().map(|address| address.ip()).filter(|ip| !ip.is_unspecified()).map(|ip| {
        match ip {
            std::net::IpAddr::V4(ip) => url::Host::Ipv4(ip),
            std::net::IpAddr::V6(ip) => url::Host::Ipv6(ip),
        }
    }));
    let router = server.admin_router(hosts);
    let answer = move |request| listener::routed(router.clone(), request);
    listener::serve(listener, entrance, answer, std::future::pending()).await;
}

/// Takes in the configuration anew at each SIGHUP. One that is wrong changes nothing.
async fn reload_on_hangup(
    server: &Server,
    started: &BTreeMap<String, serde_json::Value>,
    mut hangups: Signal,
    files: OpenFiles,
    reload: &impl Fn() -> Result<(ResolvedConfig, Vec<Warning>), ConfigErrors>,
) {
    while hangups.recv().await.is_some() {
        match reload() {
            Ok((config, warnings)) => {
                for warning in warnings {
                    tracing::warn!("{warning}");
                }
                server.reload(&settings(&config, &fitted(files, &config), false)).taken_in().await;
                tracing::info!(
                    "the configuration was reloaded: its routes, rooms, limits, origins and trusted proxies are in force"
                );
                let names = needing_restart(started, &config.written);
                if !names.is_empty() {
                    tracing::warn!(settings = %names.join(", "), "these settings changed and need a restart");
                }
            }
            Err(errors) => {
                for problem in errors.iter() {
                    tracing::error!("{}", problem.to_string().replace("\n    ", "; "));
                }
                tracing::error!("the configuration was not reloaded: everything is as before");
            }
        }
    }
    // No more signals: nothing to do, but the server goes on.
    std::future::pending::<()>().await;
}

/// The two signals that end a server.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
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
