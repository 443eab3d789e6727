//! Answers that go on and on: how a connection is told apart that has become one of them.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use axum::response::Response;
use http::HeaderValue;
use http::header::CONNECTION;
use hyper::body::{Bytes, Frame, SizeHint};
use tokio::sync::watch;
use usher_axum::StreamingAnswer;

/// Where an HTTP connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// A request is being read, answered, or its answer taken.
    Exchange,
    /// An answer that has no end of its own is being given.
    Streaming,
}

/// Makes a streaming answer the last one of its connection, and says so; when it has been given, what is left is an exchange again,
/// so that a client cannot refuse to take the rest. Others are left as they are.
pub(super) fn mark(mut answer: Response, stages: &Arc<watch::Sender<Stage>>) -> Response {
    if answer.extensions_mut().remove::<StreamingAnswer>().is_none() {
        return answer;
    }
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    stages.send_replace(Stage::Streaming);
    answer.map(|body| Body::new(Streaming { body, stages: stages.clone() }))
}

struct Streaming {
    body: Body,
    stages: Arc<watch::Sender<Stage>>,
}

impl HttpBody for Streaming {
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

impl Drop for Streaming {
    fn drop(&mut self) {
        self.stages.send_replace(Stage::Exchange);
    }
}
