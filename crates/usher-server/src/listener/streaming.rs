//! Answers that go on and on: how a connection is told apart that has become one of them.

use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::response::Response;
use http::HeaderValue;
use http::header::CONNECTION;
use hyper::body::{Bytes, Frame, SizeHint};
use tokio::sync::watch;
use tokio::time::timeout;
use usher_auth::connection::LINGER;
use usher_axum::{LetGo, PolledAnswer, StreamingAnswer};

/// Where an HTTP connection stands.
#[derive(Clone, Debug)]
pub(super) enum Stage {
    /// A request is being read, answered, or its answer taken.
    Exchange,
    /// A poll was answered, or waits for its answer: an exchange whose answer belongs to a session.
    Polled(PolledAnswer),
    /// An answer that has no end of its own is being given.
    Streaming(StreamingAnswer),
}

/// Waits until a connection has not come further for too long: for `head` from the beginning, and for `exchange` after each request. `streams` is
/// called when an answer begins that is the last of its connection, and no request's any more.
///
/// When a session lets go of an answer, the client has as long to receive the rest as a WebSocket has for its close frame: [`LINGER`].
pub(super) async fn overdue(
    mut stages: watch::Receiver<Stage>,
    head: Duration,
    exchange: Duration,
    mut streams: impl FnMut(),
) {
    let mut patience = head;
    let mut after_exchange = exchange;
    let mut streaming = Streaming::No;
    // Nothing can begin any more: what is left is the last answer and the end, which a client could refuse to take.
    let mut last = false;
    loop {
        let changed = async { if last { pending().await } else { stages.changed().await } };
        let changed = tokio::select! {
            changed = timeout(patience, changed) => changed,
            let_go = streaming.let_go() => {
                (streaming, patience) = match (let_go, streaming) {
                    // From here on it is like every other answer; but its session may end meanwhile.
                    (LetGo::Given, Streaming::Answer(answer)) => (Streaming::Given(answer), exchange),
                    _ => {
                        after_exchange = LINGER;
                        (Streaming::No, LINGER)
                    }
                };
                continue;
            }
        };
        match changed {
            Err(_) => return,
            Ok(Err(_)) => last = true,
            Ok(Ok(())) => match stages.borrow_and_update().clone() {
                Stage::Streaming(answer) => {
                    streams();
                    streaming = Streaming::Answer(answer);
                    patience = Duration::MAX;
                    continue;
                }
                Stage::Polled(answer) => streaming = Streaming::Polled(answer),
                // The next request of a client that polls.
                Stage::Exchange if matches!(streaming, Streaming::Polled(_)) => streaming = Streaming::No,
                Stage::Exchange => {}
            },
        }
        patience = after_exchange;
    }
}

/// An answer of a session that the connection is given.
enum Streaming {
    No,
    Answer(StreamingAnswer),
    /// It is complete, and its session is open.
    Given(StreamingAnswer),
    Polled(PolledAnswer),
}

impl Streaming {
    /// Waits until the session has nothing more to do with the answer than before.
    async fn let_go(&self) -> LetGo {
        match self {
            Self::No => pending().await,
            Self::Answer(answer) => answer.let_go().await,
            Self::Given(answer) => {
                answer.session_ended().await;
                LetGo::Abandoned
            }
            Self::Polled(answer) => {
                answer.abandoned().await;
                LetGo::Abandoned
            }
        }
    }
}

/// Makes a streaming answer the last one of its connection, and says so; when it has been given, what is left is an exchange again,
/// so that a client cannot refuse to take the rest. Others are left as they are.
pub(super) fn mark(mut answer: Response, stages: &Arc<watch::Sender<Stage>>) -> Response {
    if let Some(polled) = answer.extensions_mut().remove::<PolledAnswer>() {
        stages.send_replace(Stage::Polled(polled));
        return answer;
    }
    let Some(streaming) = answer.extensions_mut().remove::<StreamingAnswer>() else { return answer };
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    stages.send_replace(Stage::Streaming(streaming));
    answer.map(|body| Body::new(StreamingBody { body, stages: stages.clone() }))
}

struct StreamingBody {
    body: Body,
    stages: Arc<watch::Sender<Stage>>,
}

impl HttpBody for StreamingBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for StreamingBody {
    fn drop(&mut self) {
        self.stages.send_replace(Stage::Exchange);
    }
}
