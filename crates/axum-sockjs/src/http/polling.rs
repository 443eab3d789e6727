//! `xhr` and `jsonp`: one frame an answer. While it waits for one, no head is written; a client that leaves aborts the poll.

use axum::response::Response;
use http::header::X_CONTENT_TYPE_OPTIONS;
use http::{HeaderValue, StatusCode};

use super::{answer, framing};
use crate::Transport;
use crate::session::Receiver;

pub(crate) const SCRIPT: HeaderValue = HeaderValue::from_static("application/javascript; charset=UTF-8");

pub(crate) async fn answer(receiver: Receiver, transport: Transport, callback: &str) -> Response {
    let frame = receiver.one().await;
    let mut response = answer::with_body(StatusCode::OK, SCRIPT, framing::wrap(&frame, transport, callback));
    if transport == Transport::Jsonp {
        response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    }
    response
}
