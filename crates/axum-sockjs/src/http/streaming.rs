//! `xhr_streaming`, `eventsource` and `htmlfile`: many frames an answer, each one a chunk of its own.

use std::convert::Infallible;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::header::X_CONTENT_TYPE_OPTIONS;
use http::{HeaderValue, StatusCode};

use super::polling::SCRIPT;
use super::{answer, framing};
use crate::Transport;
use crate::session::Receiver;
use crate::session::machine::Left;

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=UTF-8");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");

/// Among the extensions of an answer that goes on for as long as its session has something to say: for a server that bounds how
/// long answers take. A client that takes nothing of it for two heartbeats ends it.
#[derive(Clone, Copy, Debug)]
pub struct StreamingAnswer;

struct Stream {
    receiver: Receiver,
    transport: Transport,
    callback: String,
    /// Until it was written.
    prelude: Option<Bytes>,
    /// Bytes of frames that may still be written.
    left: usize,
}

/// An answer that ends after `limit` bytes of frames, or with a close frame. hyper writes each item of its body as one chunk.
pub(crate) fn answer(receiver: Receiver, transport: Transport, callback: &str, limit: usize) -> Response {
    let stream = Stream {
        receiver,
        transport,
        callback: callback.to_owned(),
        prelude: Some(framing::prelude(transport, callback)),
        left: limit,
    };
    let body = Body::from_stream(stream::unfold(stream, |mut stream| async move {
        let chunk = stream.next().await?;
        Some((Ok::<_, Infallible>(chunk), stream))
    }));
    let content_type = match transport {
        Transport::EventSource => EVENTS,
        Transport::HtmlFile => HTML,
        _ => SCRIPT,
    };
    let mut response = answer::with_body(StatusCode::OK, content_type, body);
    response.extensions_mut().insert(StreamingAnswer);
    if transport == Transport::HtmlFile {
        response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    }
    response
}

impl Stream {
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(prelude) = self.prelude.take() {
            return Some(prelude);
        }
        if self.left == 0 {
            return None;
        }
        let sending = self.receiver.next().await?;
        let chunk = framing::wrap(&sending.frame, self.transport, &self.callback);
        self.left = self.left.saturating_sub(chunk.len());
        if self.left == 0 {
            // Before the chunk is written: the client comes back as soon as it sees the end, and must find the place free.
            self.receiver.leave(Left::Finished);
        }
        Some(sending.into_chunk(chunk))
    }
}
