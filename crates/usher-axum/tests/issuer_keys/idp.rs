//! An issuer's HTTP server that counts requests and answers as it is told, well or badly.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use url::Url;

/// What a path answers.
pub(crate) type Page = Arc<dyn Fn() -> BoxFuture<'static, Response> + Send + Sync>;

/// The server. It ends when it is dropped.
pub(crate) struct Idp {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    _serving: JoinSet<()>,
}

struct Shared {
    pages: Mutex<HashMap<String, Page>>,
    requests: watch::Sender<Vec<String>>,
}

impl Idp {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { pages: Mutex::default(), requests: watch::Sender::default() });
        let router = Router::new().fallback(answer).with_state(shared.clone());
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, shared, _serving: serving }
    }

    pub(crate) fn url(&self, path: &str) -> Url {
        format!("http://{}{path}", self.address).parse().unwrap()
    }

    /// From now on `path` answers with `page`.
    pub(crate) fn set(&self, path: &str, page: Page) {
        self.shared.pages.lock().insert(path.to_owned(), page);
    }

    /// From now on the metadata says this.
    pub(crate) fn set_metadata(&self, issuer: &str, jwks_uri: &str) {
        let metadata = json!({"issuer": issuer, "jwks_uri": jwks_uri, "response_types_supported": ["code"]});
        self.set("/.well-known/openid-configuration", page(&metadata));
    }

    /// How many requests there were for `path`.
    pub(crate) fn count(&self, path: &str) -> usize {
        self.shared.requests.borrow().iter().filter(|request| *request == path).count()
    }

    /// Every request there was, by its path and query.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.shared.requests.borrow().clone()
    }

    /// Returns once `path` was asked for so many times.
    pub(crate) async fn asked_for(&self, path: &str, times: usize) {
        let mut requests = self.shared.requests.subscribe();
        let asked = |requests: &Vec<String>| requests.iter().filter(|request| *request == path).count() >= times;
        requests.wait_for(asked).await.unwrap();
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let full = request.uri().path_and_query().map_or_else(String::new, ToString::to_string);
    let page = shared.pages.lock().get(&path).cloned();
    shared.requests.send_modify(|requests| requests.push(full));
    match page {
        Some(page) => page().await,
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// A JSON document.
pub(crate) fn page(document: &Value) -> Page {
    text(&document.to_string())
}

/// Whatever text, called JSON.
pub(crate) fn text(body: &str) -> Page {
    let body = body.to_owned();
    Arc::new(move || {
        let response = ([(CONTENT_TYPE, "application/json")], body.clone()).into_response();
        Box::pin(async move { response })
    })
}

/// A JSON document with `Cache-Control`.
pub(crate) fn cached(document: &Value, control: &'static str) -> Page {
    let body = document.to_string();
    Arc::new(move || {
        let response = ([(CACHE_CONTROL, control)], body.clone()).into_response();
        Box::pin(async move { response })
    })
}

/// A status without a document.
pub(crate) fn status(status: StatusCode) -> Page {
    Arc::new(move || Box::pin(async move { status.into_response() }))
}

/// 302 to somewhere else.
pub(crate) fn redirect(location: &str) -> Page {
    let location = location.to_owned();
    Arc::new(move || {
        let response = (StatusCode::FOUND, [(LOCATION, location.clone())]).into_response();
        Box::pin(async move { response })
    })
}

/// Another page, once the gate has a permit to give.
pub(crate) fn gated(gate: &Arc<Semaphore>, page: Page) -> Page {
    let gate = gate.clone();
    Arc::new(move || {
        let (gate, response) = (gate.clone(), page());
        Box::pin(async move {
            gate.acquire().await.unwrap().forget();
            response.await
        })
    })
}

/// No answer at all. `stuck` gets a permit when it is waited for.
pub(crate) fn silent(stuck: &Arc<Semaphore>) -> Page {
    let stuck = stuck.clone();
    Arc::new(move || {
        stuck.add_permits(1);
        Box::pin(pending())
    })
}

/// The beginning of an answer, and then nothing more. `stuck` gets a permit when the rest is waited for.
pub(crate) fn stalled(stuck: &Arc<Semaphore>) -> Page {
    let stuck = stuck.clone();
    Arc::new(move || {
        let body = stream::unfold((stuck.clone(), false), |(stuck, begun)| async move {
            if begun {
                stuck.add_permits(1);
                pending::<()>().await;
            }
            Some((Ok::<_, Infallible>(Bytes::from_static(b"{\"keys\":[")), (stuck, true)))
        });
        let response = Body::from_stream(body).into_response();
        Box::pin(async move { response })
    })
}

/// An answer that never ends. `hung_up` gets a permit when the other side has had enough.
pub(crate) fn endless(hung_up: &Arc<Semaphore>) -> Page {
    let hung_up = hung_up.clone();
    Arc::new(move || {
        let notice = Notice(hung_up.clone());
        let body = stream::unfold(notice, |notice| async move {
            Some((Ok::<_, Infallible>(Bytes::from_static(&[b' '; 16 * 1024])), notice))
        });
        let response = Body::from_stream(body).into_response();
        Box::pin(async move { response })
    })
}

struct Notice(Arc<Semaphore>);

impl Drop for Notice {
    fn drop(&mut self) {
        self.0.add_permits(1);
    }
}
