//! `/info`: what the client asks before it chooses a transport.

use axum::response::Response;
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use super::answer;
use crate::ambient;
use crate::config::Config;

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=UTF-8");

#[derive(Serialize)]
struct Info {
    websocket: bool,
    /// Fixed by the protocol; clients ignore it.
    origins: [&'static str; 1],
    cookie_needed: bool,
    entropy: u32,
}

pub(crate) fn answer(config: &Config) -> Response {
    let info = Info {
        websocket: config.transports.websocket,
        origins: ["*:*"],
        cookie_needed: config.cookie_needed,
        entropy: ambient::entropy(),
    };
    let body = serde_json::to_vec(&info).expect("flags and numbers are JSON");
    let mut response = answer::with_body(StatusCode::OK, JSON, body);
    answer::forbid_storing(response.headers_mut());
    response
}
