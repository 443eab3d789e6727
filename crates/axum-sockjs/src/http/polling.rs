//! `xhr` and `jsonp`: one frame an answer. A client that leaves while it waits for one aborts the poll: the wait is the answer's
//! body, which any server drops when the connection is gone.

use std::convert::Infallible;

use axum::body::Body;
use axum::response::Response;
use futures_util::{FutureExt as _, stream};
use http::header::X_CONTENT_TYPE_OPTIONS;
use http::{HeaderValue, StatusCode};

use super::{answer, framing};
use crate::Transport;
use crate::session::Receiver;

pub(crate) const SCRIPT: HeaderValue = HeaderValue::from_static("application/javascript; charset=UTF-8");

pub(crate) fn answer(receiver: Receiver, transport: Transport, callback: &str) -> Response {
    let callback = callback.to_owned();
    let mut chunk = Box::pin(async move {
        let sending = receiver.one().await;
        let chunk = framing::wrap(&sending.frame, transport, &callback);
        sending.into_chunk(chunk)
    });
    let body = match chunk.as_mut().now_or_never() {
        Some(chunk) => Body::from(chunk),
        None => Body::from_stream(stream::once(chunk.map(Ok::<_, Infallible>))),
    };
    let mut response = answer::with_body(StatusCode::OK, SCRIPT, body);
    if transport == Transport::Jsonp {
        response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    }
    response
}
