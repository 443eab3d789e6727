//! Work that is carried out to its end, also when nobody waits for it any more.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::Poll;

use tokio::task::JoinError;

/// The work panicked; what with is in the log already.
#[derive(Debug, thiserror::Error)]
#[error("it panicked")]
pub(super) struct Panicked;

impl From<JoinError> for Panicked {
    fn from(_: JoinError) -> Self {
        Self
    }
}

/// Does `work`. Once begun it goes on to its end, whether or not the returned future is dropped, and `held` is dropped then.
///
/// Most is done without waiting for anything, and then costs no task: only what has to wait gets one.
pub(super) async fn to_the_end<T: Send + 'static>(
    mut work: Pin<Box<impl Future<Output = T> + Send + 'static>>,
    held: impl Send + 'static,
) -> Result<T, Panicked> {
    let at_once = poll_fn(|context| {
        // Not looked at again after a panic: it is dropped.
        Poll::Ready(catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))))
    });
    match at_once.await {
        Ok(Poll::Ready(done)) => Ok(done),
        Ok(Poll::Pending) => {
            let to_its_end = async move {
                let done = work.await;
                drop(held);
                done
            };
            Ok(tokio::spawn(to_its_end).await?)
        }
        Err(_) => Err(Panicked),
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;
    use std::sync::Arc;

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn what_waits_goes_on_without_its_caller() {
        let (begun, go, done) = (Arc::new(Notify::new()), Arc::new(Notify::new()), Arc::new(Notify::new()));
        let held = Arc::new(());
        let work = {
            let (begun, go, done) = (begun.clone(), go.clone(), done.clone());
            async move {
                begun.notify_one();
                go.notified().await;
                done.notify_one();
            }
        };
        tokio::select! {
            biased;
            _ = to_the_end(Box::pin(work), held.clone()) => panic!("nobody let it go on"),
            () = begun.notified() => {}
        }
        // The caller is gone.
        assert_eq!(Arc::strong_count(&held), 2, "the place is held until it is done");
        go.notify_one();
        done.notified().await;
        while Arc::strong_count(&held) > 1 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_panic_at_once_or_later_is_an_error() {
        assert_eq!(to_the_end(Box::pin(ready(7)), ()).await.ok(), Some(7));
        assert!(to_the_end(Box::pin(async { panic!("at once") }), ()).await.is_err());
        let later = async {
            tokio::task::yield_now().await;
            panic!("later")
        };
        assert!(to_the_end(Box::pin(later), ()).await.is_err());
    }
}
