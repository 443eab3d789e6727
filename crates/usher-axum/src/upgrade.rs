//! The upgrade request (RFC 6455 §4.2): checked before any look at a credential, then decided, then answered.

use std::sync::Arc;

use aws_lc_rs::digest;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use axum_sockjs::upgrade::{MalformedUpgrade, check};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use http::{HeaderValue, Request, StatusCode};
use hyper::body::Bytes;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::upgrade;
use tokio::net::TcpStream;
use tracing::Instrument as _;
use usher_auth::carriers::{negotiate_subprotocol, present};
use usher_auth::origin::RequestOrigin;
use usher_auth::route::RouteRules;

use crate::admission::{Accepted, Arrival, admit};
use crate::hand_over::{Conversation, HandOver, HandOverStream, Talk};
use crate::socket::{self, WebSocket};
use crate::{Application, Door, Problem};

/// What RFC 6455 §1.3 has both ends append to the key.
const ACCEPT_GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// One WebSocket route: its rules, the door it belongs to, and the application behind it.
pub struct WebSocketRoute<A> {
    /// Its rules.
    pub rules: Arc<RouteRules>,
    /// The door.
    pub door: Door,
    /// The application.
    pub application: Arc<A>,
}

impl<A> Clone for WebSocketRoute<A> {
    fn clone(&self) -> Self {
        Self { rules: self.rules.clone(), door: self.door.clone(), application: self.application.clone() }
    }
}

impl<A: Application> WebSocketRoute<A> {
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
        let origin = RequestOrigin::of(&head.headers);
        let arrival = Arrival {
            presented: present(&self.rules, &head.headers, head.uri.query()),
            browser: origin != RequestOrigin::Absent,
            own_origin: None,
            path: head.uri.path().to_owned(),
            raw_sockjs: false,
        };
        let subprotocol = negotiate_subprotocol(&head.headers, self.rules.protocol.subprotocols());
        let Accepted { opening, span } = match admit(&self.door, &self.rules, self.application, &head, arrival).await {
            Ok(accepted) => accepted,
            Err(problem) => return problem.into_response(),
        };
        let hand_over = head.extensions.get::<HandOver>().cloned();
        drop(head);
        let after = hand_over.as_ref().map(HandOver::downgrade).unwrap_or_default();
        let during = span.clone();
        let beginning = async move {
            let upgraded = match on_upgrade.await {
                Ok(upgraded) => upgraded,
                Err(error) => {
                    tracing::debug!(%error, "the client left before the upgrade was done");
                    return None;
                }
            };
            let unwritten = after.take_unwritten();
            // What was read ahead keeps the whole buffer that hyper read into, so it is let go at once; and each kind of stream has a
            // box of its own, so that a connection does not keep room for the larger.
            let talk: Talk = match plain_tcp(upgraded) {
                Ok((tcp, read)) => {
                    let socket = WebSocket::new(tcp, &read, &unwritten, opening.connection.input_limits());
                    Box::pin(socket::run(socket, opening).instrument(during))
                }
                Err(upgraded) => {
                    let limits = opening.connection.input_limits();
                    let socket = WebSocket::new(TokioIo::new(upgraded), &[], &unwritten, limits);
                    Box::pin(socket::run(socket, opening).instrument(during))
                }
            };
            Some(talk)
        };
        let conversation = Conversation::new(beginning.instrument(span));
        match hand_over {
            Some(hand_over) => hand_over.leave(conversation),
            None => drop(tokio::spawn(conversation.run())),
        }
        switching_protocols(&key, subprotocol)
    }
}

/// The socket itself and what was read ahead of it, if that is what is underneath.
fn plain_tcp(upgraded: Upgraded) -> Result<(TcpStream, Bytes), Upgraded> {
    let upgraded = match upgraded.downcast::<TokioIo<HandOverStream<TcpStream>>>() {
        Ok(parts) => return Ok((parts.io.into_inner().into_inner(), parts.read_buf)),
        Err(upgraded) => upgraded,
    };
    // So does `axum::serve`.
    upgrade::downcast::<TokioIo<TcpStream>>(upgraded).map(|parts| (parts.io.into_inner(), parts.read_buf))
}

/// Checks that `request` is a WebSocket upgrade in form, and returns its key (RFC 6455 §4.2.1; req A2).
fn check_upgrade(request: &Request<Body>) -> Result<String, Problem> {
    match check(request.method(), request.version(), request.headers()) {
        Ok(key) => Ok(key.to_owned()),
        Err(malformed) => {
            let (code, title) = match malformed {
                MalformedUpgrade::Method => ("method_not_allowed", "Method not allowed"),
                MalformedUpgrade::OtherVersion => ("websocket_version", "Upgrade required"),
                _ => ("bad_upgrade", "Not a WebSocket upgrade"),
            };
            let mut problem = Problem::new(malformed.status(), code, title).with_detail(malformed.to_string());
            for (name, value) in &malformed.headers() {
                problem = problem.with_header(name.clone(), value.clone());
            }
            Err(problem)
        }
    }
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
