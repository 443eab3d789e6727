//! `POST /auth/logout`: the session ends, with its tokens and its sockets.

use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use http::header::SET_COOKIE;
use http::{HeaderValue, StatusCode};
use serde::Deserialize;
use usher_auth::revocation::RevocationCause;
use usher_axum::Problem;
use utoipa::IntoParams;

use super::access::Caller;
use super::origin_guard::OriginGuard;
use super::scene::HttpScene;
use super::sessions::not_ended;
use crate::cookies::CookieSettings;
use usher_accounts::Sessions;
use usher_audit::{AuditEvent, Outcome, Record};

/// How much ends.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct LogoutQuery {
    /// All of the user's sessions, and not this one alone.
    #[serde(default)]
    everywhere: bool,
}

/// Log out.
///
/// Ends the session that the credential belongs to, or all of the user's, with their tokens, tickets and live sockets. Once it has
/// answered, none of them works.
#[utoipa::path(
    post, path = "/auth/logout", tag = "auth", params(LogoutQuery),
    responses(
        (status = 204, description = "Logged out; clears the session cookie"),
        (status = 400, description = "The credential belongs to no session"),
        (status = 401, description = "No credential that holds"),
        (status = 403, description = "The page may not log its visitors out"),
        (status = 429, description = "Too many log-outs of this account with a credential that goes on, or at once; see Retry-After"),
    )
)]
pub(super) async fn log_out(
    _guard: OriginGuard,
    State(sessions): State<Sessions>,
    State(cookies): State<CookieSettings>,
    scene: HttpScene,
    query: Result<Query<LogoutQuery>, axum::extract::rejection::QueryRejection>,
    caller: Result<Caller, Problem>,
) -> Result<Response, Response> {
    let Query(query) = query.map_err(|_| {
        Problem::new(StatusCode::BAD_REQUEST, "bad_request", "Bad request")
            .with_detail("the query may hold `everywhere=true` or `everywhere=false`")
            .into_response()
    })?;
    let cleared = || cookies.clear();
    // A browser whose session is over already still wants to be rid of its cookie.
    let permit = caller.map_err(|problem| with_cookie(problem.into_response(), cleared()))?.permit;
    let ended = if query.everywhere {
        sessions.end_all(permit.credential()).await
    } else if let Some(session) = &permit.credential().session {
        sessions.end(permit.credential(), session, RevocationCause::Logout).await
    } else {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "no_session", "This credential belongs to no session")
            .with_detail("an API key or another issuer's token is ended where it was issued; `everywhere=true` ends your sessions")
            .into_response());
    };
    ended.map_err(|error| not_ended(&error, &permit, &scene))?;
    let cause = if query.everywhere { RevocationCause::LogoutEverywhere } else { RevocationCause::Logout };
    scene.record(Record::new(AuditEvent::SessionLogout, Outcome::Success).reason(cause.as_str()).by(&permit));
    tracing::info!(user = %permit.principal().id, everywhere = query.everywhere, "logged out");
    Ok(with_cookie(StatusCode::NO_CONTENT.into_response(), cleared()))
}

fn with_cookie(mut response: Response, cookie: HeaderValue) -> Response {
    response.headers_mut().insert(SET_COOKIE, cookie);
    response
}
