//! The example's services and two that are observed, on a port of their own, with what a page needs to talk to them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum_sockjs::{Application, Close, Config, Incoming, Session, SockJs, TransportRequest};
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::outcomes::folder;
use super::services::services;

/// Short enough to be waited for, and far longer than a client needs to take one.
const HEARTBEAT: Duration = Duration::from_millis(500);
/// Longer than the 200 ms that sockjs-client waits after an `EventSource`.
const DISCONNECT_DELAY: Duration = Duration::from_secs(3);
const PAGE: &str = "<!doctype html><title>sockjs-client</title><body><script src=\"/sockjs.min.js\"></script>";
const SCRIPT: (http::HeaderName, &str) = (CONTENT_TYPE, "text/javascript; charset=UTF-8");

/// Why the sessions ended that have, by their SockJS ids.
type Ends = watch::Sender<HashMap<String, &'static str>>;

/// Says back what it hears, then closes with what it heard after `close `; tells why each session ended.
struct Observed {
    ends: Ends,
}

impl Application for Observed {
    type Opener = String;

    async fn accept(&self, request: &TransportRequest<'_>) -> Result<String, Response> {
        // /{base}/{server}/{session}/{transport}
        Ok(request.parts().uri.path().split('/').nth(3).unwrap().to_owned())
    }

    async fn admit(&self, _opener: &String, _request: &TransportRequest<'_>) -> Result<(), Response> {
        Ok(())
    }

    async fn run(&self, mut session: Session, id: Arc<String>) {
        while let Some(Incoming::Message(text)) = session.receive().await {
            if session.send(text.as_str()).is_err() {
                break;
            }
            if let Some((code, reason)) = text.strip_prefix("close ").and_then(|close| close.split_once(' ')) {
                session.close(Close::new(code.parse().unwrap(), reason.to_owned()));
            }
        }
        let why = session.wait_ended().await.as_str();
        self.ends.send_modify(|ends| _ = ends.insert((*id).clone(), why));
    }
}

pub struct World {
    pub address: SocketAddr,
    observed: SockJs<Observed>,
    ends: Ends,
}

impl World {
    pub async fn new() -> Self {
        let ends = Ends::default();
        let config = Config { disconnect_delay: DISCONNECT_DELAY, ..Config::default() };
        let observed = SockJs::new(Observed { ends: ends.clone() }, config.clone()).unwrap();
        // Not for the others: a receiver that takes no heartbeat is let go, and it is its leaving that is to be seen.
        let lively = Config { heartbeat: HEARTBEAT, ..config };
        let lively = SockJs::new(Observed { ends: Ends::default() }, lively).unwrap();
        let pages = Router::new()
            .route("/", get(Html(PAGE)))
            .route("/sockjs.min.js", get(|| script("node_modules/sockjs-client/dist/sockjs.min.js")))
            .route("/checks.mjs", get(|| script("sockjs/checks.mjs")))
            .route("/ended/{id}", get(ended).with_state(ends.clone()));
        let router =
            services().unwrap().merge(observed.router("/observed")).merge(lively.router("/lively")).merge(pages);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, observed, ends }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits until as many observed sessions have ended as there were checks of them, and until none is kept.
    pub async fn emptied(&self, sessions: usize) {
        let all_ended = async { self.ends.subscribe().wait_for(|ends| ends.len() >= sessions).await.map(drop) };
        within(all_ended).await.unwrap();
        assert_eq!(self.ends.borrow().len(), sessions);
        // All have ended, so this closes none and waits for the last to be forgotten.
        within(self.observed.drain(Close::GO_AWAY)).await;
        assert_eq!(self.observed.sessions(), 0);
    }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), future).await.expect("it happens in time")
}

/// Why a session ended, once it has.
async fn ended(State(ends): State<Ends>, Path(id): Path<String>) -> Response {
    let mut ends = ends.subscribe();
    let why = ends.wait_for(|ends| ends.contains_key(&id)).await.unwrap()[&id];
    ([(ACCESS_CONTROL_ALLOW_ORIGIN, "*")], why).into_response()
}

async fn script(path: &'static str) -> Response {
    let path: PathBuf = folder().join(path);
    ([SCRIPT], tokio::fs::read(path).await.unwrap()).into_response()
}
