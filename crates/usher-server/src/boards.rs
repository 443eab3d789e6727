//! The boards page that `usher demo` serves at `/`.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};

/// Nothing but our own files, and sockets to where the page came from.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
                      form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

/// The page and its files.
pub(crate) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/", get(|| async { file("text/html; charset=utf-8", include_str!("../assets/boards.html")) }))
        .route(
            "/boards.js",
            get(|| async { file("text/javascript; charset=utf-8", include_str!("../assets/boards.js")) }),
        )
        .route("/boards.css", get(|| async { file("text/css; charset=utf-8", include_str!("../assets/boards.css")) }))
        .route("/boards.svg", get(|| async { file("image/svg+xml", include_str!("../assets/boards.svg")) }))
}

fn file(content_type: &'static str, text: &'static str) -> Response {
    let mut response = text.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
