//! `POST /api/logout`: the session ends, with its tokens, its keys and its sockets.

use axum::extract::{FromRequest, Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use usher_auth::revocation::RevocationCause;
use usher_axum::Problem;

use super::super::ApiState;
use super::super::access::Caller;
use super::super::json::OptionalJson;
use super::super::origin_guard::OriginGuard;
use super::super::scene::HttpScene;
use super::super::sessions::not_ended;
use super::body::Nothing;
use super::user::Guest;
use super::{NoCredentialInQuery, Visitor, guest};
use usher_audit::{AuditEvent, Outcome, Record};

/// Log out as OctoPrint's clients do.
///
/// Ends the session that the credential belongs to, with its tokens, session keys, tickets and live sockets. Once it has answered, none
/// of them works. Who is not logged in is a guest as before.
#[utoipa::path(
    post, path = "/api/logout", tag = "octoprint",
    responses(
        (status = 200, description = "Logged out, or not logged in; clears the session cookie", body = Guest),
        (status = 400, description = "The credential belongs to no session"),
        (status = 403, description = "The credential does not hold, or the page may not log its visitors out"),
        (status = 429, description = "Too many requests of this account at once; see Retry-After"),
    )
)]
pub(in super::super) async fn log_out(
    _guard: OriginGuard,
    _url: NoCredentialInQuery,
    State(state): State<ApiState>,
    scene: HttpScene,
    request: Request,
) -> Result<Response, Response> {
    let (mut parts, body) = request.into_parts();
    let request = Request::from_parts(parts.clone(), body);
    OptionalJson::<Nothing>::from_request(request, &state).await.map_err(IntoResponse::into_response)?;
    let visitor = Visitor::of(&mut parts, &state).await.map_err(IntoResponse::into_response)?;
    let Visitor::Caller(Caller { permit, .. }) = visitor else { return Ok(guest(&state.cookies)) };
    let Some(session) = &permit.credential().session else {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "no_session", "This credential belongs to no session")
            .with_detail("an API key or another issuer's token is ended where it was issued")
            .into_response());
    };
    let ended = state.sessions.end(permit.credential(), session, RevocationCause::Logout).await;
    ended.map_err(|error| not_ended(&error, &permit, &scene))?;
    scene.record(
        Record::new(AuditEvent::SessionLogout, Outcome::Success).reason(RevocationCause::Logout.as_str()).by(&permit),
    );
    tracing::info!(user = %permit.principal().id, "logged out");
    Ok(guest(&state.cookies))
}
