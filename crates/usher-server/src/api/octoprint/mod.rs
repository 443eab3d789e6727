//! `/api/…`: the calls by which OctoPrint's clients log in, in the shapes that they read. What they decide is decided where `/auth/…`
//! decides it.
//!
//! Two things differ from `/auth/…`, because these clients know nothing else: what would be 401 is 403, and a log-in may be a form.

mod body;
mod login;
mod logout;
mod user;
mod version;

use axum::Router;
use axum::extract::{FromRequestParts, RawQuery};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::StatusCode;
use http::header::SET_COOKIE;
use http::request::Parts;
use usher_auth::carriers::explicit_header;
use usher_axum::Problem;

use super::ApiState;
use super::access::Caller;
use crate::cookies::CookieSettings;

pub(super) use login::__path_log_in;
pub(super) use logout::__path_log_out;
pub(super) use version::__path_version;

/// Parameters by which people put credentials into URLs.
const CREDENTIALS: [&str; 8] = ["apikey", "api_key", "user", "pass", "password", "session", "token", "access_token"];

/// The endpoints.
pub(super) fn router() -> Router<ApiState> {
    Router::new()
        .route("/api/login", post(login::log_in))
        .route("/api/logout", post(logout::log_out))
        .route("/api/version", get(version::version))
        .layer(map_response(forbidden_for_unauthorized))
}

/// OctoPrint answers 403 where HTTP has 401, and its clients tell people "wrong password" at that alone.
async fn forbidden_for_unauthorized(mut response: Response) -> Response {
    if response.status() != StatusCode::UNAUTHORIZED {
        return response;
    }
    let Some(problem) = response.extensions_mut().remove::<Problem>() else { return response };
    let mut forbidden = problem.with_status(StatusCode::FORBIDDEN).into_response();
    if let Some(cookie) = response.headers_mut().remove(SET_COOKIE) {
        forbidden.headers_mut().insert(SET_COOKIE, cookie);
    }
    forbidden
}

/// Proof that no credential is in the URL, where logs and histories would keep it (req C3).
struct NoCredentialInQuery;

impl<S: Send + Sync> FromRequestParts<S> for NoCredentialInQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Ok(RawQuery(query)) = RawQuery::from_request_parts(parts, state).await;
        let query = query.unwrap_or_default();
        let is_one = |name: &str| CREDENTIALS.iter().any(|known| known.eq_ignore_ascii_case(name));
        if form_urlencoded::parse(query.as_bytes()).any(|(name, _)| is_one(&name)) {
            return Err(Problem::new(
                StatusCode::BAD_REQUEST,
                "credentials_in_query",
                "Credentials do not belong in a URL",
            )
            .with_detail("send an API key as X-Api-Key, and user and password in the body of POST /api/login"));
        }
        Ok(Self)
    }
}

/// Whom a request without a password comes from.
enum Visitor {
    /// Somebody whose credential holds.
    Caller(Caller),
    /// Nobody, or a browser whose session is over: to OctoPrint's clients that is a guest.
    Guest,
}

impl Visitor {
    /// Errors are credentials that do not hold and were presented on purpose, and cookies from pages that may not use them.
    async fn of(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        let ambient = explicit_header(&parts.headers).is_ok_and(|credential| credential.is_none());
        match Caller::from_request_parts(parts, state).await {
            Ok(caller) => Ok(Self::Caller(caller)),
            Err(problem) => match problem.code() {
                "missing_credential" => Ok(Self::Guest),
                "invalid_session" | "session_expired" | "user_not_found" if ambient => Ok(Self::Guest),
                _ => Err(problem),
            },
        }
    }
}

/// The answer to a guest. Whatever session cookie they came with is of no use to them any more.
fn guest(cookies: &CookieSettings) -> Response {
    let mut response = axum::Json(user::Guest::default()).into_response();
    response.headers_mut().insert(SET_COOKIE, cookies.clear());
    response
}
