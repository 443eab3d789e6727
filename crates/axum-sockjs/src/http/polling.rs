//! `xhr` and `jsonp`: one frame an answer. A client that leaves while it waits for one aborts the poll: the wait is the answer's
//! body, which any server drops when the connection is gone.

use std::convert::Infallible;
use std::fmt;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::Body;
use axum::response::Response;
use futures_util::{FutureExt as _, stream};
use http::header::X_CONTENT_TYPE_OPTIONS;
use http::{HeaderValue, StatusCode};

use super::{answer, framing};
use crate::Transport;
use crate::session::{Live, Receiver};

pub(crate) const SCRIPT: HeaderValue = HeaderValue::from_static("application/javascript; charset=UTF-8");

/// From so many bytes on, what a client has not taken of an answer is worth closing its connection for.
const LARGE_BYTES: usize = 64 * 1024;

/// Among the extensions of an answer to a poll: for a server that bounds how long answers take. A client that takes nothing of a large answer holds
/// it for as long as its connection lasts, also when its session, whose bound it is in, has ended.
#[derive(Clone)]
pub struct PolledAnswer {
    live: Arc<Live>,
    /// Set once the answer is known.
    large: Arc<AtomicBool>,
}

impl PolledAnswer {
    /// Waits until the session has ended whose large answer this is. Never returns for a small one.
    pub async fn abandoned(&self) {
        self.live.wait_ended().await;
        if !self.large.load(Ordering::SeqCst) {
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
    let polled = PolledAnswer { live: live.clone(), large: Arc::default() };
    let large = polled.large.clone();
    let mut chunk = Box::pin(async move {
        let sending = receiver.one().await;
        let chunk = framing::wrap(&sending.frame, transport, &callback);
        large.store(chunk.len() >= LARGE_BYTES, Ordering::SeqCst);
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
