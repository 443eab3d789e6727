//! Answers that several endpoints give, and the headers that belong to them.

use axum::body::Body;
use axum::response::Response;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, COOKIE, EXPIRES, SET_COOKIE};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::cors::AllowedOrigins;

/// For answers that may be kept for a year.
const KEEP: HeaderValue = HeaderValue::from_static("public, max-age=31536000");
/// The same for caches that know HTTP/1.0 alone. They need some date, and any far one will do, so no clock is asked.
const NEVER_EXPIRES: HeaderValue = HeaderValue::from_static("Thu, 31 Dec 2037 23:55:55 GMT");
/// For answers that belong to one session. Some browsers keep even answers to POST.
const DO_NOT_STORE: HeaderValue =
    HeaderValue::from_static("no-store, no-cache, no-transform, must-revalidate, max-age=0");
const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=UTF-8");
const SESSION_COOKIE: &str = "JSESSIONID";
/// What a client without the cookie gets: load balancers replace it.
const NO_COOKIE_YET: &str = "dummy";
/// Longest cookie value that is given back, in bytes.
const MAX_COOKIE_BYTES: usize = 256;

pub(crate) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

pub(crate) fn with_body(status: StatusCode, content_type: HeaderValue, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

pub(crate) fn text(status: StatusCode, text: impl Into<Body>) -> Response {
    with_body(status, PLAIN, text)
}

/// 204, but with a type: without one, some browsers take it for XML and complain.
pub(crate) fn no_content() -> Response {
    with_body(StatusCode::NO_CONTENT, PLAIN, Body::empty())
}

pub(crate) fn method_not_allowed(methods: &'static str) -> Response {
    let mut response = empty(StatusCode::METHOD_NOT_ALLOWED);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    response
}

pub(crate) fn preflight(origins: &AllowedOrigins, methods: &'static str, request: &HeaderMap) -> Response {
    let mut response = empty(StatusCode::NO_CONTENT);
    let headers = response.headers_mut();
    allow_storing(headers);
    origins.apply_preflight(methods, request, headers);
    response
}

pub(crate) fn allow_storing(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, KEEP);
    headers.insert(EXPIRES, NEVER_EXPIRES);
}

pub(crate) fn forbid_storing(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, DO_NOT_STORE);
}

/// Gives the client's `JSESSIONID` back, or a first one.
pub(crate) fn set_session_cookie(request: &HeaderMap, answer: &mut HeaderMap) {
    let cookies = request.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let sent = pairs.find(|(name, _)| *name == SESSION_COOKIE).map(|(_, value)| value);
    let value = sent.filter(|value| value.len() <= MAX_COOKIE_BYTES).unwrap_or(NO_COOKIE_YET);
    if let Ok(cookie) = HeaderValue::from_str(&format!("{SESSION_COOKIE}={value}; Path=/")) {
        answer.append(SET_COOKIE, cookie);
    }
}
