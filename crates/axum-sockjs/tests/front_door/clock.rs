//! The whole service in simulated time: tokio's clock, paused, without a socket.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum_sockjs::{Config, Ended, Session, SockJs};
use http::Request;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::world::{Facts, Probe};

struct Service {
    service: SockJs<Probe>,
    sessions: mpsc::UnboundedReceiver<(Session, Facts)>,
}

impl Service {
    fn new() -> Self {
        let (sender, sessions) = mpsc::unbounded_channel();
        Self { service: SockJs::new(Probe::new(sender), Config::default()).unwrap(), sessions }
    }

    async fn poll(&self) -> String {
        let request = Request::post("/0/a/xhr").body(Body::empty()).unwrap();
        let body = self.service.handle(request).await.into_body();
        String::from_utf8(to_bytes(body, 1000).await.unwrap().into()).unwrap()
    }

    async fn opened(&mut self) -> Session {
        assert_eq!(self.poll().await, "o\n");
        self.sessions.recv().await.unwrap().0
    }
}

const A_MOMENT: Duration = Duration::from_millis(10);

#[tokio::test(start_paused = true)]
async fn a_session_without_a_receiver_dies_after_5_seconds() {
    let mut service = Service::new();
    let session = service.opened().await;
    let five = Duration::from_secs(5);
    assert!(timeout(five.checked_sub(A_MOMENT).unwrap(), session.wait_ended()).await.is_err());
    assert_eq!(timeout(2 * A_MOMENT, session.wait_ended()).await, Ok(Ended::TimedOut));
    assert_eq!(service.poll().await, "o\n", "its id is free again");
}

#[tokio::test(start_paused = true)]
async fn a_poll_hears_a_heartbeat_after_25_seconds() {
    let mut service = Service::new();
    let _session = service.opened().await;
    let polled = timeout(Duration::from_secs(25) + A_MOMENT, service.poll()).await;
    assert_eq!(polled.as_deref(), Ok("h\n"));
    let mut poll = std::pin::pin!(service.poll());
    assert!(timeout(Duration::from_secs(25).checked_sub(A_MOMENT).unwrap(), &mut poll).await.is_err());
    assert_eq!(timeout(2 * A_MOMENT, poll).await.as_deref(), Ok("h\n"));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_comes_back_before_its_leaving_is_noticed_is_not_sent_away() {
    let mut service = Service::new();
    let session = service.opened().await;
    let mut first = Box::pin(service.poll());
    assert!(timeout(A_MOMENT, &mut first).await.is_err());
    let mut second = std::pin::pin!(service.poll());
    assert!(timeout(A_MOMENT, &mut second).await.is_err(), "the place is taken, and may be left in a moment");
    drop(first);
    assert_eq!(timeout(A_MOMENT, second).await.as_deref(), Ok("c[1002,\"Connection interrupted\"]\n"));
    assert_eq!(session.ended(), Some(Ended::Interrupted));
}
