//! The answer to an upgrade request (RFC 6455 §4.2.2), or to one that is none.

use axum::response::Response;
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, UPGRADE};
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use tungstenite::handshake::derive_accept_key;

use crate::http::answer;
use crate::upgrade::{self, MalformedUpgrade};

/// The `Sec-WebSocket-Accept` for a request that is an upgrade in form.
///
/// # Errors
/// With the answer to one that is not.
pub(super) fn check(parts: &Parts) -> Result<HeaderValue, Response> {
    let key = upgrade::check(&parts.method, parts.version, &parts.headers).map_err(refuse)?;
    Ok(HeaderValue::from_str(&derive_accept_key(key.as_bytes())).expect("base64 is a header value"))
}

fn refuse(malformed: MalformedUpgrade) -> Response {
    // The protocol's own suite looks for these two.
    let text = match malformed {
        MalformedUpgrade::Upgrade => "Can \"Upgrade\" only to \"WebSocket\".\n".to_owned(),
        MalformedUpgrade::Connection => "\"Connection\" must be \"Upgrade\".\n".to_owned(),
        other => format!("{other}\n"),
    };
    let mut response = answer::text(malformed.status(), text);
    response.headers_mut().extend(malformed.headers());
    response
}

/// 101.
pub(super) fn switching_protocols(accept: HeaderValue) -> Response {
    let mut response = answer::empty(StatusCode::SWITCHING_PROTOCOLS);
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    response
}
