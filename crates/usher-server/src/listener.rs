//! Accepting connections: TCP or TLS, with every wait before an upgrade bounded (req A7, A8).

mod occasionally;
mod request_form;
mod slow_body;
mod streaming;
mod to_the_end;

pub use slow_body::SlowBody;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use self::occasionally::Occasionally;
use self::streaming::Stage;
use self::to_the_end::to_the_end;
use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use http::{Request, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;
use usher_axum::client_address::PeerAddress;
use usher_axum::hand_over::{Conversation, HandOver, HandOverStream};
use usher_axum::{ClientAddress, Problem, SourceBudget, SourcePlace, TrustedProxies};

use crate::api;

/// From the accepted connection to the end of the first request's head, TLS included, and from one answer to the end of the next
/// request's head: a connection that takes longer is closed.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// From the end of a request's head to the end of its body: one that takes longer is answered with 408.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// From the end of a request's head to the end of the next one's, or of the connection: reading the body, answering, and the client
/// taking the answer. A connection that takes longer is closed.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(30);
/// Most connections that have not been upgraded: those beyond wait in the kernel's queue.
const MAX_HTTP_CONNECTIONS: usize = 10_000;
/// Most of those from one source, an address or a /64 for IPv6: those beyond are closed at once. So many may wait for a first message
/// from there, too.
const MAX_HTTP_CONNECTIONS_PER_SOURCE: usize = 1_000;
/// Most bytes of a request's head: a larger one is answered with 431.
const MAX_HEAD_BYTES: usize = 32 * 1024;
/// Most headers: more are answered with 431.
const MAX_HEADERS: usize = 100;
/// Connections that the kernel completes and keeps until we accept them. When all clients come back at once, those beyond have their
/// first packet dropped and try again a second later. The kernel takes no more than `net.core.somaxconn`, which is 4,096 by default.
const BACKLOG: u32 = 4_096;
/// After an error of accept that is not the peer's (no more file descriptors), so that it is not asked in a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Bounds of connections that speak HTTP. An upgraded one has bounds of its own, and counts among the sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    /// From the accepted connection, or from an answer, to the end of the next request's head.
    pub head: Duration,
    /// From the end of a request's head to the end of its body.
    pub body: Duration,
    /// From the end of a request's head to the end of the next one's, or of the connection.
    pub exchange: Duration,
    /// Most connections.
    pub connections: usize,
    /// Most connections of one source. A trusted proxy is no source.
    pub connections_per_source: usize,
    /// Most connections of any kind, upgraded ones with them: each is an open file. Those beyond are closed at once.
    pub sockets: usize,
    /// Most of those of one source.
    pub sockets_per_source: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            head: HEAD_TIMEOUT,
            body: BODY_TIMEOUT,
            exchange: EXCHANGE_TIMEOUT,
            connections: MAX_HTTP_CONNECTIONS,
            connections_per_source: MAX_HTTP_CONNECTIONS_PER_SOURCE,
            // What the process may have open decides.
            sockets: usize::MAX,
            sockets_per_source: usize::MAX,
        }
    }
}

/// A connection's place among all that speak HTTP, whose semaphore is never closed, and among those of its source.
type HttpPlaces = (Result<OwnedSemaphorePermit, AcquireError>, SourcePlace);

/// How a connection is taken in.
#[derive(Clone, Default)]
pub struct Entrance {
    /// Speak TLS.
    pub tls: Option<TlsAcceptor>,
    /// Take connections from these and from no one else: in plain text, past the proxy that does the TLS, a credential would
    /// cross the network in clear (req A1).
    pub only_from: Option<TrustedProxies>,
    /// They bring many clients' connections, so these are not counted as one source's.
    pub trusted_proxies: TrustedProxies,
    /// What a connection may take.
    pub limits: HttpLimits,
}

/// Listens on `address`.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // So that a server that starts again need not wait for the last connections of the one before.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Answers requests on `listener` with `answer` until `shutdown` is done. Connections in progress are not waited for: that is the
/// drain's business. Each request has a [`PeerAddress`] and a [`HandOver`] in its extensions.
pub async fn serve<A>(
    listener: TcpListener,
    entrance: Entrance,
    answer: impl Fn(Request<Body>) -> A + Clone + Send + 'static,
    shutdown: impl Future<Output = ()>,
) where
    A: Future<Output = Response> + Send + 'static,
{
    drop(serve_until(listener, entrance, answer, shutdown).await);
}

/// As [`serve`], and gives the listener back.
pub async fn serve_until<A>(
    listener: TcpListener,
    entrance: Entrance,
    answer: impl Fn(Request<Body>) -> A + Clone + Send + 'static,
    shutdown: impl Future<Output = ()>,
) -> TcpListener
where
    A: Future<Output = Response> + Send + 'static,
{
    let Entrance { tls, only_from, trusted_proxies, limits } = entrance;
    let places = Arc::new(Semaphore::new(limits.connections));
    let sources = SourceBudget::new(limits.connections, limits.connections_per_source);
    let sockets = SourceBudget::new(limits.sockets, limits.sockets_per_source);
    let (mut failures, mut refusals, mut full) = (Occasionally::new(), Occasionally::new(), Occasionally::new());
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let place = tokio::select! {
            () = &mut shutdown => return listener,
            place = places.clone().acquire_owned() => place,
        };
        let (stream, peer) = tokio::select! {
            () = &mut shutdown => return listener,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) if is_the_peers(&error) => continue,
                Err(error) => {
                    if let Some(unlogged) = failures.happened() {
                        tracing::warn!(%error, unlogged, "a connection could not be accepted; it will be tried again");
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        if only_from.as_ref().is_some_and(|proxies| !proxies.trusts(peer.ip())) {
            tracing::debug!(client = %peer.ip(), "not one of the trusted proxies, and plain text is for them alone");
            continue;
        }
        let source = (!trusted_proxies.trusts(peer.ip())).then(|| ClientAddress(peer.ip().to_canonical()).source());
        let (Some(source_place), Some(socket)) = (sources.take_for(source), sockets.take_for(source)) else {
            if sockets.is_full() {
                if let Some(unlogged) = full.happened() {
                    tracing::warn!(
                        most = limits.sockets,
                        unlogged,
                        "as many connections are open as the limit of open files allows, and further ones are closed at once"
                    );
                }
            } else if let Some(unlogged) = refusals.happened() {
                tracing::warn!(
                    client = %peer.ip(),
                    most = limits.connections_per_source.min(limits.sockets_per_source),
                    unlogged,
                    "one source has as many connections as it may, and further ones are closed at once; a proxy belongs into \
                     server.trusted_proxies"
                );
            }
            continue;
        };
        let socket = Arc::new(socket);
        // A frame is written whole: waiting for more to send with it would only delay it.
        let _ = stream.set_nodelay(true);
        let (tls, answer) = (tls.clone(), answer.clone());
        // The places are held for as long as the connection speaks HTTP; one that is upgraded or becomes a stream has budgets of its own.
        // What speaks HTTP is in a box, so that an upgraded connection does not keep room for it.
        let http = attend(stream, peer, tls, answer, limits, Arc::new((place, source_place)), socket.clone());
        tokio::spawn(go_on(Box::pin(http), socket));
    }
}

/// Has `router` answer.
pub async fn routed(router: Router, request: Request<Body>) -> Response {
    router.oneshot(request).await.unwrap_or_else(|never| match never {})
}

/// Whether accepting failed because of the connection that was accepted, so that the next one can be.
fn is_the_peers(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// A connection from HTTP to what may follow it. It holds its `socket` place to its end.
async fn go_on(http: Pin<Box<impl Future<Output = Option<Conversation>>>>, socket: Arc<SourcePlace>) {
    let conversation = http.await;
    if let Some(conversation) = conversation {
        conversation.run().await;
    }
    drop(socket);
}

/// One connection until it has ended, has not come further for too long, or is upgraded: then with what goes on.
async fn attend<A>(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    answer: impl Fn(Request<Body>) -> A + Clone + Send + 'static,
    limits: HttpLimits,
    places: Arc<HttpPlaces>,
    socket: Arc<SourcePlace>,
) -> Option<Conversation>
where
    A: Future<Output = Response> + Send + 'static,
{
    let work = Arc::downgrade(&places);
    let mut places = Some(places);
    let (requests, begun) = watch::channel(Stage::Exchange);
    let hand_over = HandOver::default();
    let after = hand_over.clone();
    let requests_served = async move {
        let Some(tls) = tls else {
            return serve_connection(stream, peer, answer, limits, requests, hand_over, (socket, work)).await;
        };
        // In a box of its own, so that connections in plain text have no room for it.
        let agreed = async move {
            match tls.accept(stream).await {
                Ok(stream) => {
                    serve_connection(stream, peer, answer, limits, requests, hand_over, (socket, work)).await;
                }
                Err(error) => tracing::debug!(client = %peer.ip(), %error, "TLS was not agreed on"),
            }
        };
        Box::pin(agreed).await;
    };
    // hyper bounds the wait for a head; nothing in it bounds a client that does not send its body, or does not take its answer.
    let overdue = streaming::overdue(begun, limits.head, limits.exchange, move || drop(places.take()));
    tokio::select! {
        () = requests_served => after.take(),
        () = overdue => {
            tracing::debug!(client = %peer.ip(), "an HTTP connection took too long");
            None
        }
    }
}

async fn serve_connection<IO, A>(
    io: IO,
    peer: SocketAddr,
    answer: impl Fn(Request<Body>) -> A + Send + 'static,
    limits: HttpLimits,
    stages: watch::Sender<Stage>,
    hand_over: HandOver,
    (socket, places): (Arc<SourcePlace>, Weak<HttpPlaces>),
) where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Future<Output = Response> + Send + 'static,
{
    let stages = Arc::new(stages);
    let io = TokioIo::new(HandOverStream::new(io, hand_over.clone()).holding(socket));
    let service = service_fn(move |request: Request<Incoming>| {
        stages.send_replace(Stage::Exchange);
        let stages = stages.clone();
        // Held by what is still to be done when the client has hung up: else a source could have any number of requests waiting.
        let place = places.upgrade();
        let answer = match request_form::check(&request) {
            Ok(()) => {
                let mut request = request.map(|body| slow_body::bounded(body, limits.body));
                request.extensions_mut().insert(PeerAddress(peer));
                request.extensions_mut().insert(hand_over.clone());
                // In a box from the beginning: whatever it is moved into makes room for it.
                Ok(Box::pin(answer(request)))
            }
            Err(malformed) => {
                tracing::debug!(client = %peer.ip(), %malformed, "a malformed request was refused");
                Err(malformed)
            }
        };
        async move {
            let answer = match answer {
                Ok(answer) => answer,
                Err(malformed) => {
                    let mut answer = malformed.answer();
                    api::protect_answer(&mut answer, false);
                    return Ok::<_, Infallible>(answer);
                }
            };
            // hyper drops what it waits for when the client hangs up, and what has begun must not stay half done: a session that is ended
            // in the store but not in memory would live on unseen. Everything a handler waits for is bounded.
            Ok(match to_the_end(answer, place).await {
                Ok(answer) => streaming::mark(answer, &stages),
                Err(panicked) => {
                    tracing::error!(%panicked, "a request was not answered");
                    let problem = Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error");
                    let mut answer = problem.into_response();
                    api::protect_answer(&mut answer, false);
                    answer
                }
            })
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_header_size(MAX_HEAD_BYTES)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(io, service)
        .with_upgrades()
        .await;
    if let Err(error) = served {
        // The other end's doing: a broken request, a timeout, a reset. hyper has answered what can be answered.
        tracing::debug!(client = %peer.ip(), %error, "an HTTP connection ended");
    }
}
