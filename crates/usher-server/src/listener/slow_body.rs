//! Request bodies that are not waited for without end (req A8).

use std::error::Error;
use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use hyper::body::{Body as HttpBody, Bytes, Frame, Incoming, SizeHint};
use tokio::time::Sleep;

/// The body did not come in time.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the request's body did not come in time")]
pub struct SlowBody;

impl SlowBody {
    /// Whether this is at the bottom of `error`.
    pub fn is_cause_of(error: &(dyn Error + 'static)) -> bool {
        let mut next = Some(error);
        while let Some(error) = next {
            if error.is::<Self>() {
                return true;
            }
            next = error.source();
        }
        false
    }
}

/// `body`, which fails with [`SlowBody`] if it has not ended after `limit`.
pub(super) fn bounded(body: Incoming, limit: Duration) -> Body {
    if body.is_end_stream() {
        return Body::empty();
    }
    Body::new(Bounded { body, due: Box::pin(tokio::time::sleep(limit)) })
}

struct Bounded {
    body: Incoming,
    due: Pin<Box<Sleep>>,
}

impl HttpBody for Bounded {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        // First, so that a body that comes in single bytes is not always ready with one more.
        if self.due.as_mut().poll(context).is_ready() {
            return Poll::Ready(Some(Err(SlowBody.into())));
        }
        Pin::new(&mut self.body).poll_frame(context).map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
