//! `xhr_streaming`, `eventsource` and `htmlfile`: many frames an answer.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::header::X_CONTENT_TYPE_OPTIONS;
use http::{HeaderValue, StatusCode};

use super::polling::SCRIPT;
use super::{answer, framing};
use crate::Transport;
use crate::session::machine::{Left, ReceiverId};
use crate::session::{Live, Receiver};

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=UTF-8");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");

/// Among the extensions of an answer that goes on for as long as its session has something to say: for a server that bounds how
/// long answers take.
///
/// A client that takes nothing holds its connection and what was written to it for as long as it likes. So the server closes the connection of an
/// answer that was let go, as soon as a client that reads has had time to read the rest.
#[derive(Clone)]
pub struct StreamingAnswer {
    live: Arc<Live>,
    /// None if the answer is one frame, after which it ends.
    receiver: Option<ReceiverId>,
}

/// Why a session has let go of a streaming answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LetGo {
    /// The answer is complete and the session is open: it counts what the client has not received of the answer.
    Given,
    /// The session has ended, maybe because the client received nothing for two heartbeats: nothing counts what it has not received.
    Abandoned,
}

impl StreamingAnswer {
    /// Waits until the session lets go of the answer.
    pub async fn let_go(&self) -> LetGo {
        match self.receiver {
            Some(receiver) => self.live.wait_left(receiver).await,
            None => self.session_ended().await,
        }
        // A receiver that is given up ends its session; one that has finished does not.
        if self.live.ended().is_some() { LetGo::Abandoned } else { LetGo::Given }
    }

    /// Waits until the session has ended.
    pub async fn session_ended(&self) {
        self.live.wait_ended().await;
    }
}

impl fmt::Debug for StreamingAnswer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("StreamingAnswer").field("session", &self.live.number).finish_non_exhaustive()
    }
}

/// A frame is handed on in pieces, as the client reads: how far it has got shows that it does.
const PIECE_BYTES: usize = 16 * 1024;

struct Stream {
    receiver: Receiver,
    transport: Transport,
    callback: String,
    /// Until it was written.
    prelude: Option<Bytes>,
    /// What is left of the frame that is being written.
    rest: Option<Bytes>,
    /// Bytes of frames that may still be written.
    left: usize,
}

/// An answer that ends after `limit` bytes of frames, or with a close frame.
pub(crate) fn answer(receiver: Receiver, transport: Transport, callback: &str, limit: usize) -> Response {
    let (live, id) = match &receiver {
        Receiver::Attached { live, id } => (live.clone(), Some(*id)),
        Receiver::Answer { live, .. } => (live.clone(), None),
    };
    let streaming = StreamingAnswer { live, receiver: id };
    let stream = Stream {
        receiver,
        transport,
        callback: callback.to_owned(),
        prelude: Some(framing::prelude(transport, callback)),
        rest: None,
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
    response.extensions_mut().insert(streaming);
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
        let mut frame = match self.rest.take() {
            Some(rest) => {
                self.receiver.taken();
                rest
            }
            None if self.left == 0 => return None,
            None => {
                let sending = self.receiver.next().await?;
                let chunk = framing::wrap(&sending.frame, self.transport, &self.callback);
                self.left = self.left.saturating_sub(chunk.len());
                sending.into_chunk(chunk)
            }
        };
        let piece = frame.split_to(frame.len().min(PIECE_BYTES));
        if !frame.is_empty() {
            self.rest = Some(frame);
        } else if self.left == 0 {
            // Before the last piece is written: the client comes back as soon as it sees the end, and must find the place free.
            self.receiver.leave(Left::Finished);
        }
        Some(piece)
    }
}
