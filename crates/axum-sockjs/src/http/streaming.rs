//! `xhr_streaming`, `eventsource` and `htmlfile`: many frames an answer.

use std::convert::Infallible;
use std::fmt;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
    /// The answer was given to its end.
    finished: Arc<AtomicBool>,
}

/// Why a session has let go of a streaming answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LetGo {
    /// It was given to its end. The session goes on, and what its client has not taken of the answer is still in the session's bound.
    Given,
    /// The session has ended, or its client took nothing of the answer for two heartbeats: what is not taken is in no bound.
    Abandoned,
}

impl StreamingAnswer {
    /// Waits until the session lets go of the answer.
    pub async fn let_go(&self) -> LetGo {
        let left = async {
            match self.receiver {
                Some(receiver) => self.live.wait_left(receiver).await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            _ = self.live.wait_ended() => LetGo::Abandoned,
            () = left => if self.finished.load(Ordering::SeqCst) { LetGo::Given } else { LetGo::Abandoned },
        }
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
    finished: Arc<AtomicBool>,
}

/// An answer that ends after `limit` bytes of frames, or with a close frame.
pub(crate) fn answer(receiver: Receiver, transport: Transport, callback: &str, limit: usize) -> Response {
    let (live, id) = match &receiver {
        Receiver::Attached { live, id } => (live.clone(), Some(*id)),
        Receiver::Answer { live, .. } => (live.clone(), None),
    };
    let finished = Arc::new(AtomicBool::new(false));
    let streaming = StreamingAnswer { live, receiver: id, finished: finished.clone() };
    let stream = Stream {
        receiver,
        transport,
        callback: callback.to_owned(),
        prelude: Some(framing::prelude(transport, callback)),
        rest: None,
        left: limit,
        finished,
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
        loop {
            if let Some(rest) = &mut self.rest {
                self.receiver.taken();
                let piece = rest.split_to(rest.len().min(PIECE_BYTES));
                if rest.is_empty() {
                    self.rest = None;
                    if self.left == 0 {
                        self.finished.store(true, Ordering::SeqCst);
                        // Before the last piece is written: the client comes back as soon as it sees the end, and must find the place free.
                        self.receiver.leave(Left::Finished);
                    }
                }
                return Some(piece);
            }
            if self.left == 0 {
                return None;
            }
            let sending = self.receiver.next().await?;
            let chunk = framing::wrap(&sending.frame, self.transport, &self.callback);
            self.left = self.left.saturating_sub(chunk.len());
            self.rest = Some(sending.into_chunk(chunk));
        }
    }
}
