//! `GET /.well-known/jwks.json`: the keys our tokens are verified with (RFC 7517).

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

use usher_accounts::AccessTokens;

/// Our public keys.
#[utoipa::path(
    get, path = "/.well-known/jwks.json", tag = "keys",
    responses((status = 200, description = "A JWK set", content_type = "application/jwk-set+json"))
)]
pub(super) async fn jwks(State(access_tokens): State<Arc<AccessTokens>>) -> Response {
    let mut response = axum::Json(access_tokens.jwks()).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/jwk-set+json"));
    // Short, so that a new key is known everywhere soon after it begins to sign.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    response
}
