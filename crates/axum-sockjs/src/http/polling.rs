//! `xhr` and `jsonp`: one frame an answer. A client that leaves while it waits for one aborts the poll: the wait is the answer's
//! body, which any server drops when the connection is gone.

use std::convert::Infallible;
use std::fmt;
use std::future::pending;
use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use futures_util::{FutureExt as _, stream};
use http::header::X_CONTENT_TYPE_OPTIONS;
use http::{HeaderValue, StatusCode};

use super::{answer, framing};
use crate::Transport;
use crate::session::{Live, Receiver};

pub(crate) const SCRIPT: HeaderValue = HeaderValue::from_static("application/javascript; charset=UTF-8");

/// Among the extensions of an answer to a poll: for a server that bounds how long answers take. A client that does not receive its answer holds it
/// for as long as its connection lasts, also when its session, which counts it, has ended.
#[derive(Clone)]
pub struct PolledAnswer {
    live: Arc<Live>,
}

impl PolledAnswer {
    /// Waits until the session has ended before its client has received the answer. Never returns if the client has received it.
    pub async fn abandoned(&self) {
        self.live.wait_ended().await;
        if self.live.on_their_way() == 0 {
            pending::<()>().await;
        }
    }
}

impl fmt::Debug for PolledAnswer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PolledAnswer").field("session", &self.live.number).finish_non_exhaustive()
    }
}

pub(crate) fn answer(receiver: Receiver, transport: Transport, callback: &str) -> Response {
    let callback = callback.to_owned();
    let (Receiver::Attached { live, .. } | Receiver::Answer { live, .. }) = &receiver;
    let polled = PolledAnswer { live: live.clone() };
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
    response.extensions_mut().insert(polled);
    if transport == Transport::Jsonp {
        response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    }
    response
}
