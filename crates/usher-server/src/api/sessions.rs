//! `GET` and `DELETE /auth/sessions`, `DELETE /auth/sessions/{id}`: a user's own sessions (req J6).

use std::time::Duration;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::header::LINK;
use http::{HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use usher_auth::ids::SessionId;
use usher_auth::permit::Permit;
use usher_auth::refusal::{Refusal, RefusalKind};
use usher_auth::revocation::RevocationCause;
use usher_axum::Problem;
use utoipa::{IntoParams, ToSchema};

use super::access::Caller;
use super::origin_guard::OriginGuard;
use super::scene::HttpScene;
use super::store_unavailable;
use usher_accounts::{EndError, Sessions};
use usher_audit::{AuditEvent, Outcome, Record};

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

/// Most sessions in one answer, and how many there are if the caller does not say.
const MAX_PAGE: u32 = 100;

/// Which part of the list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct PageQuery {
    /// Sessions whose id comes after this one.
    after: Option<String>,
    /// So many at most; 1 to 100, which is the default.
    limit: Option<u32>,
}

/// My sessions, in pages in the order of their ids. Where there may be more, `Link` with `rel="next"` has the next page (RFC 8288).
#[utoipa::path(
    get, path = "/auth/sessions", tag = "auth", params(PageQuery),
    responses(
        (status = 200, description = "The caller's sessions; `Link` has the next page if there is one", body = Vec<SessionItem>),
        (status = 400, description = "The query is not what it should be"),
        (status = 401, description = "No credential that holds"),
    )
)]
pub(super) async fn list(
    State(sessions): State<Sessions>,
    Caller { permit, .. }: Caller,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Response, Response> {
    let (after, limit) = page_of(query).ok_or_else(|| {
        Problem::new(StatusCode::BAD_REQUEST, "bad_request", "Bad request")
            .with_detail("the query may hold `after`, a session's id, and `limit`, 1 to 100")
            .into_response()
    })?;
    let found = sessions.of(&permit.principal().id, after.as_ref(), limit).await;
    let (found, next) = found.map_err(|error| store_unavailable(&error))?;
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
    let mut answer = Json(items.collect::<Vec<_>>()).into_response();
    if let Some(next) = next {
        let after = url::form_urlencoded::byte_serialize(next.as_str().as_bytes()).collect::<String>();
        let link = HeaderValue::try_from(format!("</auth/sessions?after={after}&limit={limit}>; rel=\"next\""));
        answer.headers_mut().insert(LINK, link.expect("an encoded id has no control characters"));
    }
    Ok(answer)
}

fn page_of(query: Result<Query<PageQuery>, QueryRejection>) -> Option<(Option<SessionId>, u32)> {
    let Query(PageQuery { after, limit }) = query.ok()?;
    let after = after.map(|id| SessionId::new(&id)).transpose().ok()?;
    let limit = limit.unwrap_or(MAX_PAGE);
    (1..=MAX_PAGE).contains(&limit).then_some((after, limit))
}

/// End all my sessions but the one this call is made with, with their tokens and sockets.
#[utoipa::path(
    delete, path = "/auth/sessions", tag = "auth",
    responses(
        (status = 204, description = "Ended"),
        (status = 401, description = "No credential that holds"),
        (status = 403, description = "The page may not use its visitors' sessions"),
        (status = 409, description = "The call was made with a credential that belongs to no session"),
        (status = 429, description = "Too often; see Retry-After"),
    )
)]
pub(super) async fn end_others(
    _guard: OriginGuard,
    scene: HttpScene,
    State(sessions): State<Sessions>,
    Caller { permit, .. }: Caller,
) -> Result<StatusCode, Response> {
    let Some(current) = &permit.credential().session else {
        let problem = Problem::new(StatusCode::CONFLICT, "no_session", "This credential belongs to no session");
        return Err(problem.with_detail("to end all of them, use POST /auth/logout?everywhere=true").into_response());
    };
    let ended = sessions.end_others(permit.credential(), current).await;
    ended.map_err(|error| not_ended(&error, &permit, &scene))?;
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
        (status = 429, description = "Too often; see Retry-After"),
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
    let end = sessions.end(permit.credential(), &session.id, RevocationCause::Logout).await;
    end.map_err(|error| not_ended(&error, &permit, &scene))?;
    let ended = Record::new(AuditEvent::SessionLogout, Outcome::Success).reason("ended_by_owner");
    scene.record(ended.by(&permit).session(&session.id));
    Ok(StatusCode::NO_CONTENT)
}

/// When a log-out should be asked for again that had to wait for too many others.
const RETRY_WHEN_BUSY: Duration = Duration::from_secs(1);

/// The answer to a log-out that was not carried out.
pub(super) fn not_ended(error: &EndError, permit: &Permit, scene: &HttpScene) -> Response {
    match error {
        EndError::TooMany { retry_after } => {
            let denied = Record::new(AuditEvent::RateLimitExceeded, Outcome::Denied).reason("too_many_log_outs");
            scene.record(denied.by(permit));
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_log_outs", "Too many log-outs")
                .with_detail("a log-out with the session's own credential is not counted")
                .with_retry_after(*retry_after)
                .into_response()
        }
        EndError::Busy(no_turn) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Service unavailable")
            .with_detail(no_turn.to_string())
            .with_retry_after(RETRY_WHEN_BUSY)
            .into_response(),
        EndError::Ended => {
            let refusal = Refusal::new(RefusalKind::InvalidSession, "the credential has ended meanwhile");
            Problem::from(&refusal).into_response()
        }
        EndError::Store(error) => store_unavailable(error),
    }
}
