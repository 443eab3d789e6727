//! The upgrade request and its answer (RFC 6455 §4.2).

use axum::response::Response;
use http::header::{CONNECTION, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, Version};
use tungstenite::handshake::derive_accept_key;

use crate::http::answer;

/// The one version there is. The older drafts are not supported, hixie-76 among them.
const VERSION: &str = "13";
/// Length of the base64 of 16 bytes.
const KEY_BYTES: usize = 24;

/// The key of a request that is an upgrade in form.
///
/// # Errors
/// With the answer to one that is not: 400, or 426 for another version.
pub(super) fn check(parts: &Parts) -> Result<HeaderValue, Response> {
    let headers = &parts.headers;
    if parts.version != Version::HTTP_11 {
        return Err(bad("A WebSocket needs HTTP/1.1.\n"));
    }
    if !lists(headers, &UPGRADE, "websocket") {
        return Err(bad("Can \"Upgrade\" only to \"WebSocket\".\n"));
    }
    if !lists(headers, &CONNECTION, "upgrade") {
        return Err(bad("\"Connection\" must be \"Upgrade\".\n"));
    }
    match headers.get(SEC_WEBSOCKET_VERSION) {
        Some(version) if version == VERSION => {}
        None => return Err(bad("The request needs \"Sec-WebSocket-Version: 13\".\n")),
        Some(_) => {
            let mut response = answer::text(StatusCode::UPGRADE_REQUIRED, "The WebSocket version must be 13.\n");
            response.headers_mut().insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static(VERSION));
            return Err(response);
        }
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).filter(|key| key.len() == KEY_BYTES).cloned();
    key.ok_or_else(|| bad("The request needs a Sec-WebSocket-Key.\n"))
}

/// 101.
pub(super) fn accept(key: &HeaderValue) -> Response {
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes())).expect("base64 is a header value");
    let mut response = answer::empty(StatusCode::SWITCHING_PROTOCOLS);
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    response
}

/// Whether a comma-separated header lists `token`, in any case.
fn lists(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|item| item.trim_matches([' ', '\t']).eq_ignore_ascii_case(token))
}

fn bad(text: &'static str) -> Response {
    answer::text(StatusCode::BAD_REQUEST, text)
}
