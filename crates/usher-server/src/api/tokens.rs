//! The body that a log-in and a refresh answer with.

use axum::response::{IntoResponse, Response};
use http::header::SET_COOKIE;
use serde::Serialize;
use usher_auth::secret::PlainToken;
use utoipa::ToSchema;

use crate::cookies::CookieSettings;
use usher_accounts::Granted;

/// Tokens, and whose they are.
#[derive(Serialize, ToSchema)]
pub(super) struct TokenAnswer<'a> {
    /// An access token (RFC 9068) for the `Authorization` header, a first message or a ticket.
    token: &'a str,
    /// Always `Bearer`.
    token_type: &'static str,
    /// Seconds the token lasts.
    expires_in: u64,
    /// Exchange it at `/auth/refresh` before the token ends. Absent where the session was slid by its cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    /// Who logged in.
    user: UserAnswer<'a>,
}

/// A user.
#[derive(Serialize, ToSchema)]
pub(super) struct UserAnswer<'a> {
    /// Unique.
    id: &'a str,
    /// For people to read.
    name: &'a str,
}

/// 200 with the tokens, and the cookie where there is a new one.
pub(super) fn answer(granted: &Granted, cookies: &CookieSettings) -> Response {
    let body = TokenAnswer {
        token: granted.access_token.reveal(),
        token_type: "Bearer",
        expires_in: granted.expires_in.as_secs(),
        refresh_token: granted.refresh_token.as_ref().map(PlainToken::reveal),
        user: UserAnswer { id: granted.user.id.as_str(), name: &granted.user.name },
    };
    let mut response = axum::Json(body).into_response();
    if let Some(cookie) = &granted.cookie {
        response.headers_mut().insert(SET_COOKIE, cookies.set(cookie));
    }
    response
}
