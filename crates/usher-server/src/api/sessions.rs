//! `GET` and `DELETE /auth/sessions`, `DELETE /auth/sessions/{id}`: a user's own sessions (req J6).

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;
use usher_auth::ids::SessionId;
use usher_auth::revocation::RevocationCause;
use usher_axum::Problem;
use utoipa::ToSchema;

use super::access::Caller;
use super::origin_guard::OriginGuard;
use super::scene::HttpScene;
use super::store_unavailable;
use crate::audit::{AuditEvent, Outcome, Record};
use crate::sessions::Sessions;

/// One session. Times are Unix seconds.
#[derive(Serialize, ToSchema)]
pub(super) struct SessionItem {
    /// Its public id.
    id: String,
    /// When the log-in was.
    created_at: i64,
    /// Last use.
    last_seen_at: i64,
    /// When it ends if it is not used again.
    expires_at: i64,
    /// Where the log-in came from.
    client_ip: Option<String>,
    /// With which browser or program.
    user_agent: Option<String>,
    /// Whether this call was made with it.
    current: bool,
}

/// My sessions.
#[utoipa::path(
    get, path = "/auth/sessions", tag = "auth",
    responses(
        (status = 200, description = "The caller's sessions", body = Vec<SessionItem>),
        (status = 401, description = "No credential that holds"),
    )
)]
pub(super) async fn list(
    State(sessions): State<Sessions>,
    Caller { permit, .. }: Caller,
) -> Result<Json<Vec<SessionItem>>, Response> {
    let found = sessions.of(&permit.principal().id).await.map_err(|error| store_unavailable(&error))?;
    let current = permit.credential().session.as_ref();
    let limits = sessions.limits();
    let items = found.into_iter().map(|session| SessionItem {
        current: current == Some(&session.id),
        created_at: session.created_at.as_seconds(),
        last_seen_at: session.last_seen_at.as_seconds(),
        expires_at: session.expires_at(limits).as_seconds(),
        id: session.id.to_string(),
        client_ip: session.client_ip,
        user_agent: session.user_agent,
    });
    Ok(Json(items.collect()))
}

/// End all my sessions but the one this call is made with, with their tokens and sockets.
#[utoipa::path(
    delete, path = "/auth/sessions", tag = "auth",
    responses(
        (status = 204, description = "Ended"),
        (status = 401, description = "No credential that holds"),
        (status = 403, description = "The page may not use its visitors' sessions"),
        (status = 409, description = "The call was made with a credential that belongs to no session"),
    )
)]
pub(super) async fn end_others(
    _guard: OriginGuard,
    State(sessions): State<Sessions>,
    Caller { permit, .. }: Caller,
) -> Result<StatusCode, Response> {
    let Some(current) = &permit.credential().session else {
        let problem = Problem::new(StatusCode::CONFLICT, "no_session", "This credential belongs to no session");
        return Err(problem.with_detail("to end all of them, use POST /auth/logout?everywhere=true").into_response());
    };
    let ended = sessions.end_others(&permit.principal().id, current).await;
    ended.map_err(|error| store_unavailable(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

/// End one of my sessions, with its tokens and sockets. Somebody else's is not found.
#[utoipa::path(
    delete, path = "/auth/sessions/{id}", tag = "auth", params(("id" = String, Path, description = "The session's id")),
    responses(
        (status = 204, description = "Ended"),
        (status = 401, description = "No credential that holds"),
        (status = 403, description = "The page may not use its visitors' sessions"),
        (status = 404, description = "The caller has no such session"),
    )
)]
pub(super) async fn end(
    _guard: OriginGuard,
    scene: HttpScene,
    State(sessions): State<Sessions>,
    Caller { permit, .. }: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Response> {
    let unavailable = |error| store_unavailable(&error);
    let found = match SessionId::new(&id) {
        Ok(id) => sessions.session(&id).await.map_err(unavailable)?,
        Err(_) => None,
    };
    let Some(session) = found.filter(|session| session.user == permit.principal().id) else {
        return Err(Problem::new(StatusCode::NOT_FOUND, "not_found", "You have no such session").into_response());
    };
    sessions.end(&session.id, RevocationCause::Logout).await.map_err(unavailable)?;
    let ended = Record::new(AuditEvent::SessionLogout, Outcome::Success).reason("ended_by_owner");
    scene.record(ended.by(&permit).session(&session.id));
    Ok(StatusCode::NO_CONTENT)
}
