//! A server that serves, until a signal stops it and its connections are drained.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use usher_axum::IssuerKeys;

use super::{fitted, settings};
use crate::admin::{Administration, ControlSocket};
use crate::backends::Backends;
use crate::config::{ConfigErrors, ResolvedConfig, Warning};
use crate::listener::{self, Entrance};
use crate::open_files::OpenFiles;
use crate::reload::needing_restart;
use crate::server::Server;

/// How long requests that are being carried out have to end once connections are drained. What a request waits for is bounded, most of it
/// by the store's time-outs.
const REQUESTS_PATIENCE: Duration = Duration::from_secs(10);
/// How long the store has then to take what is written behind.
const WRITING_PATIENCE: Duration = Duration::from_secs(5);

/// What serving needs.
pub(super) struct Serving<'a> {
    pub(super) server: Arc<Server>,
    pub(super) administration: Arc<Administration>,
    pub(super) backends: &'a Backends<ControlSocket>,
    pub(super) config: &'a ResolvedConfig,
    pub(super) issuer_keys: &'a IssuerKeys,
    pub(super) entrance: Entrance,
    pub(super) admin_entrance: Entrance,
    pub(super) listener: TcpListener,
    pub(super) admin: Option<TcpListener>,
    pub(super) files: OpenFiles,
}

impl Serving<'_> {
    /// Serves until a signal comes, and drains. When it returns no request is being carried out and nothing is being written, unless that
    /// took too long.
    pub(super) async fn until_stopped(
        self,
        hangups: Signal,
        mut signals: Signals,
        reload: &impl Fn() -> Result<(ResolvedConfig, Vec<Warning>), ConfigErrors>,
    ) {
        let Self { server, administration, backends, config, issuer_keys, entrance, admin_entrance, .. } = self;
        // These go on while connections are drained: an operation that has begun is finished, and a revocation still reaches open connections.
        let mut beside = std::pin::pin!(async {
            tokio::select! {
                () = backends.lock.serve(administration) => {}
                () = serve_admin(self.admin, admin_entrance, &server, config) => {}
                () = server.update_rooms() => {}
                () = server.receive_events() => {}
            }
        });
        // A task, so that a write which has begun goes on whatever this function waits for: it has the only connection that writes.
        let (writer, stopping) = (server.clone(), CancellationToken::new());
        let stopped_writing = stopping.clone();
        let mut writing =
            AbortOnDropHandle::new(tokio::spawn(async move { writer.write_behind(&stopped_writing).await }));
        // A task, so that it runs where the connections do: from this thread, each would have to wake another.
        let (stop, stopped) = oneshot::channel::<()>();
        let entrance_in_drain = entrance.clone();
        let serving = server.clone();
        let answer = move |request| serving.answer(request);
        let shutdown = async { drop(stopped.await) };
        let mut accepting = tokio::spawn(listener::serve_until(self.listener, entrance, answer, shutdown));
        let mut accepts = true;
        tokio::select! {
            () = signals.next() => {}
            _ = &mut accepting => {
                tracing::error!("connections are accepted no more");
                accepts = false;
            }
            () = reload_on_hangup(&server, &config.written, hangups, self.files, reload) => {}
            () = &mut beside => {}
            _ = &mut writing => tracing::error!("uses of sessions and known addresses are written no more"),
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
        // Each wait that follows ends at once when it has come.
        let mut second = SecondSignal { signals, came: false };
        tokio::select! {
            _ = server.drain(config.server.drain) => {}
            () = &mut beside => {}
            () = second.wait() => {}
        }
        if let Some(accepting) = accepting {
            accepting.abort();
        }
        // Whatever the wait is for: what begins from here on would be in no record.
        server.requests().close();
        tokio::select! {
            finished = timeout(REQUESTS_PATIENCE, server.requests().finish()) => {
                if finished.is_err() {
                    tracing::warn!("some requests were not carried out to their end: they took too long");
                }
            }
            () = &mut beside => {}
            () = second.wait() => {}
        }
        stopping.cancel();
        // It has ended already if it panicked.
        if writing.is_finished() {
            return;
        }
        tokio::select! {
            written = timeout(WRITING_PATIENCE, writing) => {
                if written.is_err() {
                    tracing::warn!("the store did not take in time what is written behind");
                }
            }
            () = second.wait() => {}
        }
    }
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
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next one.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// The signal that ends what the first one lets go on.
struct SecondSignal {
    signals: Signals,
    came: bool,
}

impl SecondSignal {
    /// Returns at once if it has come.
    async fn wait(&mut self) {
        if !self.came {
            self.signals.next().await;
            self.came = true;
            tracing::info!("a second signal: not waiting for the rest");
        }
    }
}
