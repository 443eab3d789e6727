//! The upgrade request (RFC 6455 §4.2): checked before any look at a credential, then decided, then answered.

use std::sync::Arc;

use aws_lc_rs::digest;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    ALLOW, CONNECTION, CONTENT_LENGTH, HOST, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Version};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tracing::Instrument as _;
use usher_auth::carriers::{Carrier, Presented, negotiate_subprotocol, present};
use usher_auth::connection::{Action, Connection};
use usher_auth::ids::ConnectionId;
use usher_auth::origin::RequestOrigin;
use usher_auth::refusal::{Refusal, RefusalKind};
use usher_auth::route::RouteRules;

use crate::client_address::PeerAddress;
use crate::observer::{Event, Scene};
use crate::socket::{self, Opening};
use crate::{Door, Handler, Observer, Presenter, Problem};

/// What RFC 6455 §1.3 has both ends append to the key.
const ACCEPT_GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// The one version there is.
const VERSION: &str = "13";
/// When a client that found no room should come back.
const NO_ROOM_RETRY: std::time::Duration = std::time::Duration::from_secs(5);

/// One WebSocket route: its rules, the door it belongs to, and what stands behind.
pub struct WebSocketRoute<H> {
    /// Its rules.
    pub rules: Arc<RouteRules>,
    /// The door.
    pub door: Door,
    /// Behind the door.
    pub handler: Arc<H>,
}

impl<H> Clone for WebSocketRoute<H> {
    fn clone(&self) -> Self {
        Self { rules: self.rules.clone(), door: self.door.clone(), handler: self.handler.clone() }
    }
}

impl<H: Handler> WebSocketRoute<H> {
    /// Answers an upgrade request to this route; the connection goes on in a task of its own.
    pub async fn upgrade(self, mut request: Request<Body>) -> Response {
        let key = match check_upgrade(&request) {
            Ok(key) => key,
            Err(problem) => return problem.into_response(),
        };
        let Some(on_upgrade) = request.extensions_mut().remove::<OnUpgrade>() else {
            return bad_request("this connection cannot be upgraded").into_response();
        };
        let (head, _) = request.into_parts();
        let parts = self.door.parts();
        let Some(PeerAddress(peer)) = head.extensions.get::<PeerAddress>().copied() else {
            tracing::error!("the server does not say where requests come from");
            return Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error").into_response();
        };
        let address = parts.trusted_proxies.client(peer, &head.headers);
        let began = parts.clock.now();
        if self.door.is_draining() {
            let refusal = Refusal::new(RefusalKind::Unavailable, "the server is shutting down");
            return Problem::from(&refusal).with_retry_after(NO_ROOM_RETRY).into_response();
        }
        let origin = RequestOrigin::of(&head.headers);
        let presenter =
            Presenter { address, origin: origin.as_str().map(str::to_owned), path: head.uri.path().to_owned() };
        let browser = origin != RequestOrigin::Absent;
        let presented = present(&self.rules, &head.headers, head.uri.query());
        let mut connection = self.begin(presented, browser);
        let subprotocol = negotiate_subprotocol(&head.headers);
        drop(head);

        // Everything that is logged of this connection is logged in its span.
        let span = tracing::info_span!(
            "connection",
            id = %connection.id(),
            client = %presenter.address.0,
            route = %self.rules.path,
        );
        let admitted = self.admit(&mut connection, &presenter).instrument(span.clone()).await;
        let took = parts.clock.now().monotonic.saturating_sub(began.monotonic);
        let answered = Event::Answered { took, accepted: admitted.is_ok() };
        parts.observer.observe(&scene(&connection, &presenter), &answered);
        if let Err(refusal) = admitted {
            return Problem::from(&refusal).into_response();
        }
        let nobody = connection.permit().is_none_or(|permit| permit.principal().anonymous);
        let budget = if connection.is_waiting() { &self.door.waiting } else { &self.door.anonymous };
        let place = if nobody {
            let Some(place) = budget.take(address.source()) else {
                let refusal = Refusal::new(
                    RefusalKind::TooManyConnections { retry_after: NO_ROOM_RETRY },
                    "as many sockets of nobody in particular are open as may be",
                );
                report_refusal(&*parts.observer, &connection, &presenter, &refusal, None);
                return Problem::from(&refusal).into_response();
            };
            Some(place)
        } else {
            None
        };
        let opening = Opening { connection, presenter, place, door: self.door, handler: self.handler };
        let conversation = async move {
            match on_upgrade.await {
                Ok(upgraded) => match upgraded.downcast::<TokioIo<TcpStream>>() {
                    Ok(tcp) => socket::run(tcp.io.into_inner(), &tcp.read_buf, opening).await,
                    Err(upgraded) => socket::run(TokioIo::new(upgraded), &[], opening).await,
                },
                Err(error) => tracing::debug!(%error, "the client left before the upgrade was done"),
            }
        };
        tokio::spawn(conversation.instrument(span));
        switching_protocols(&key, subprotocol)
    }

    fn begin(&self, presented: Result<Presented, Refusal>, browser: bool) -> Connection {
        let parts = self.door.parts();
        let id = ConnectionId::from_random(parts.randomness.bytes());
        Connection::begin(id, self.rules.clone(), presented, browser, parts.clock.now())
    }

    /// Drives the connection up to its 101, or to a refusal over HTTP.
    async fn admit(&self, connection: &mut Connection, presenter: &Presenter) -> Result<(), Refusal> {
        let parts = self.door.parts();
        while let Some(action) = connection.poll_action() {
            match action {
                Action::Verify(verification) => {
                    let verdict = parts.verify(verification, presenter, &scene(connection, presenter)).await;
                    connection.handle_verdict(parts.clock.now(), verdict);
                }
                Action::Refused { refusal, carrier } => {
                    report_refusal(&*parts.observer, connection, presenter, &refusal, carrier);
                }
                Action::Accept => return Ok(()),
                Action::Reject(refusal) => return Err(refusal),
                other => {
                    // Fail closed: no socket for a connection that wants something else before its 101.
                    tracing::error!(?other, "an action before the upgrade was accepted");
                    break;
                }
            }
        }
        Err(Refusal::new(RefusalKind::Unavailable, "the connection was neither accepted nor rejected"))
    }
}

/// Where `connection` is, for the observer.
pub(crate) fn scene<'a>(connection: &'a Connection, presenter: &'a Presenter) -> Scene<'a> {
    presenter.scene(connection.id(), &connection.rules().path)
}

/// For the log and the observer: who was not let in, and why. Never what they presented.
pub(crate) fn report_refusal(
    observer: &dyn Observer,
    connection: &Connection,
    presenter: &Presenter,
    refusal: &Refusal,
    carrier: Option<Carrier>,
) {
    observer.observe(&scene(connection, presenter), &Event::Refused { refusal, carrier });
    tracing::info!(
        origin = presenter.origin.as_deref().unwrap_or("-"),
        code = refusal.code(),
        detail = refusal.detail(),
        "refused"
    );
}

/// Checks that `request` is a WebSocket upgrade in form, and returns its key (RFC 6455 §4.2.1; req A2).
fn check_upgrade(request: &Request<Body>) -> Result<String, Problem> {
    let headers = request.headers();
    if request.method() != Method::GET {
        let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "Method not allowed");
        return Err(problem
            .with_detail("a WebSocket is opened with GET")
            .with_header(ALLOW, HeaderValue::from_static("GET")));
    }
    if request.version() != Version::HTTP_11 {
        return Err(bad_request("a WebSocket upgrade needs HTTP/1.1"));
    }
    if one(headers, &HOST).is_none() {
        return Err(bad_request("the request must have exactly one Host header"));
    }
    if headers.contains_key(TRANSFER_ENCODING) || headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0") {
        return Err(bad_request("a WebSocket upgrade has no body"));
    }
    if !lists(headers, &UPGRADE, "websocket") {
        return Err(bad_request("this is a WebSocket endpoint: the request needs `Upgrade: websocket`"));
    }
    if !lists(headers, &CONNECTION, "upgrade") {
        return Err(bad_request("the request needs `Connection: Upgrade`"));
    }
    match one(headers, &SEC_WEBSOCKET_VERSION) {
        Some(version) if version == VERSION => {}
        None if !headers.contains_key(SEC_WEBSOCKET_VERSION) => {
            return Err(bad_request("the request needs `Sec-WebSocket-Version: 13`"));
        }
        _ => {
            let problem = Problem::new(StatusCode::UPGRADE_REQUIRED, "websocket_version", "Upgrade required");
            return Err(problem
                .with_detail("the WebSocket version must be 13")
                .with_header(SEC_WEBSOCKET_VERSION, HeaderValue::from_static(VERSION)));
        }
    }
    let key = one(headers, &SEC_WEBSOCKET_KEY).filter(|key| STANDARD.decode(key).is_ok_and(|nonce| nonce.len() == 16));
    key.map(str::to_owned).ok_or_else(|| bad_request("the request needs one Sec-WebSocket-Key, the base64 of 16 bytes"))
}

/// The value of a header that is given exactly once and is ASCII.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

/// Whether a comma-separated header lists `token`, in any case.
fn lists(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|item| item.trim_matches([' ', '\t']).eq_ignore_ascii_case(token))
}

fn bad_request(detail: &'static str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad_upgrade", "Not a WebSocket upgrade").with_detail(detail)
}

/// RFC 6455 §4.2.2.
fn switching_protocols(key: &str, subprotocol: Option<&'static str>) -> Response {
    let digest = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{ACCEPT_GUID}").as_bytes());
    let accept = HeaderValue::from_str(&STANDARD.encode(digest)).expect("base64 is a header value");
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    if let Some(subprotocol) = subprotocol {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(subprotocol));
    }
    response
}
