//! Accepting connections: TCP or TLS, with every wait before a request bounded (req A7, A8).

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;
use usher_axum::TrustedProxies;
use usher_axum::client_address::PeerAddress;

/// From the accepted connection to the end of the request's head, TLS included.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Most bytes of a request's head: a larger one is answered with 431.
const MAX_HEAD_BYTES: usize = 32 * 1024;
/// Most headers: more are answered with 431.
const MAX_HEADERS: usize = 100;
/// Most connections that have not been upgraded: those beyond wait in the kernel's queue.
const MAX_HTTP_CONNECTIONS: usize = 10_000;
/// After an error of accept that is not the peer's (no more file descriptors), so that it is not asked in a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How a connection is taken in.
#[derive(Clone, Default)]
pub struct Entrance {
    /// Speak TLS.
    pub tls: Option<TlsAcceptor>,
    /// Take connections from these and from no one else: in plain text, past the proxy that does the TLS, a credential would
    /// cross the network in clear (req A1).
    pub only_from: Option<TrustedProxies>,
}

/// Serves `router`, as it is at each request, on `listener` until `shutdown` is done. Connections in progress are not waited for: that is the drain's business.
pub async fn serve(
    listener: TcpListener,
    entrance: Entrance,
    router: impl Fn() -> Router + Clone + Send + 'static,
    shutdown: impl Future<Output = ()>,
) {
    let places = Arc::new(Semaphore::new(MAX_HTTP_CONNECTIONS));
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let place = tokio::select! {
            () = &mut shutdown => return,
            place = places.clone().acquire_owned() => place,
        };
        let (stream, peer) = tokio::select! {
            () = &mut shutdown => return,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        if entrance.only_from.as_ref().is_some_and(|proxies| !proxies.trusts(peer.ip())) {
            tracing::debug!(client = %peer.ip(), "not one of the trusted proxies, and plain text is for them alone");
            continue;
        }
        // A frame is written whole: waiting for more to send with it would only delay it.
        let _ = stream.set_nodelay(true);
        let (tls, router) = (entrance.tls.clone(), router.clone());
        tokio::spawn(async move {
            match tls {
                None => serve_connection(stream, peer, router).await,
                Some(tls) => match tokio::time::timeout(HEAD_TIMEOUT, tls.accept(stream)).await {
                    Ok(Ok(stream)) => serve_connection(stream, peer, router).await,
                    Ok(Err(error)) => tracing::debug!(client = %peer.ip(), %error, "TLS was not agreed on"),
                    Err(_) => tracing::debug!(client = %peer.ip(), "TLS took too long"),
                },
            }
            // Held for as long as the connection speaks HTTP; an upgraded one has budgets of its own.
            drop(place);
        });
    }
}

async fn serve_connection<IO>(io: IO, peer: SocketAddr, router: impl Fn() -> Router + Clone + Send + 'static)
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let router = router();
        async move {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(PeerAddress(peer));
            router.oneshot(request).await
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(io), service)
        .with_upgrades()
        .await;
    if let Err(error) = served {
        // The other end's doing: a broken request, a timeout, a reset. hyper has answered what can be answered.
        tracing::debug!(client = %peer.ip(), %error, "an HTTP connection ended");
    }
}
