//! The requests that are being carried out, those of HTTP and those of the control socket: a stop waits for them.

use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// Counts requests until a stop takes no more. A cheap handle.
///
/// What a request changes is recorded in the audit trail, which ends before the process does: a request that is carried out after that would be
/// acknowledged, and in no record.
#[derive(Clone, Debug, Default)]
pub struct OpenRequests(TaskTracker);

/// A request that is being carried out, until it is dropped.
#[derive(Debug)]
pub struct OpenRequest(#[expect(dead_code, reason = "held")] TaskTrackerToken);

impl OpenRequests {
    /// One request more; `None` once [`Self::close`] was called.
    pub fn begin(&self) -> Option<OpenRequest> {
        let token = self.0.token();
        // After the token was taken: either the stop waits for this request, or it is seen here.
        (!self.0.is_closed()).then_some(OpenRequest(token))
    }

    /// Lets no request begin any more.
    pub fn close(&self) {
        self.0.close();
    }

    /// The same, and returns once none is open.
    pub async fn finish(&self) {
        self.close();
        self.0.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stop_waits_for_open_requests_and_lets_none_begin() {
        let requests = OpenRequests::default();
        let open = requests.begin().expect("it goes on");
        let mut finish = std::pin::pin!(requests.finish());
        tokio::select! {
            biased;
            () = &mut finish => panic!("a request is open"),
            () = std::future::ready(()) => {}
        }
        assert!(requests.begin().is_none());
        drop(open);
        finish.await;
        assert!(requests.begin().is_none());
    }
}
