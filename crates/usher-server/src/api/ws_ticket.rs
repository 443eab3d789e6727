//! `GET`/`POST /ws_ticket`: a single-use ticket for a WebSocket, bought with a credential that lasts.

use axum::Json;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use usher_auth::Permit;
use usher_auth::carriers::Carrier;
use usher_axum::Problem;
use utoipa::{IntoParams, ToSchema};

use super::access::Caller;
use super::json::OptionalJson;
use super::origin_guard::OriginGuard;
use super::scene::HttpScene;
use super::store_unavailable;
use usher_accounts::{TicketError, TicketIssuer};
use usher_audit::{AuditEvent, Outcome, Record};

/// What the ticket is for.
#[derive(Default, Deserialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct TicketRequest {
    /// The path it may be used at; without it, any route that takes tickets.
    path: Option<String>,
}

/// A ticket.
#[derive(Serialize, ToSchema)]
pub(super) struct TicketAnswer {
    /// For `?ticket=…`. Good for one upgrade.
    ticket: String,
    /// When it ends, in Unix seconds.
    expires: i64,
}

/// Buy a ticket with `Authorization: Bearer` or an API key.
///
/// The ticket is bound to the caller's session and user, to the Origin of this request if it has one, and to `path` if given.
#[utoipa::path(
    get, path = "/ws_ticket", tag = "tickets", params(TicketRequest),
    responses(
        (status = 200, description = "A ticket", body = TicketAnswer),
        (status = 401, description = "No credential that holds"),
        (status = 429, description = "Too many outstanding tickets; see Retry-After"),
        (status = 503, description = "Tickets cannot be issued now"),
    )
)]
pub(super) async fn buy_with_header(
    State(desk): State<TicketIssuer>,
    scene: HttpScene,
    caller: Caller,
    query: Result<Query<TicketRequest>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<TicketAnswer>, Response> {
    if caller.permit.carrier() == Some(Carrier::Cookie) {
        // A GET can be made by any page; with a cookie it must be a POST, whose Origin is checked.
        return Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "Method not allowed")
            .with_detail("with the session cookie, buy tickets with POST")
            .with_header(http::header::ALLOW, http::HeaderValue::from_static("POST"))
            .into_response());
    }
    let Query(request) = query.map_err(|_| {
        Problem::new(StatusCode::BAD_REQUEST, "bad_request", "Bad request")
            .with_detail("the query may hold `path` alone; the credential belongs in the Authorization header")
            .into_response()
    })?;
    issue(&desk, &scene, &caller.permit, caller.origin, request).await
}

/// Buy a ticket with any lasting credential, also the session cookie.
#[utoipa::path(
    post, path = "/ws_ticket", tag = "tickets", request_body = Option<TicketRequest>,
    responses(
        (status = 200, description = "A ticket", body = TicketAnswer),
        (status = 401, description = "No credential that holds"),
        (status = 403, description = "The page may not use its visitors' sessions"),
        (status = 429, description = "Too many outstanding tickets; see Retry-After"),
        (status = 503, description = "Tickets cannot be issued now"),
    )
)]
pub(super) async fn buy(
    _guard: OriginGuard,
    State(desk): State<TicketIssuer>,
    scene: HttpScene,
    caller: Caller,
    OptionalJson(request): OptionalJson<TicketRequest>,
) -> Result<Json<TicketAnswer>, Response> {
    issue(&desk, &scene, &caller.permit, caller.origin, request.unwrap_or_default()).await
}

async fn issue(
    desk: &TicketIssuer,
    scene: &HttpScene,
    permit: &Permit,
    origin: Option<String>,
    request: TicketRequest,
) -> Result<Json<TicketAnswer>, Response> {
    if request.path.as_ref().is_some_and(|path| !path.starts_with('/') || path.len() > 512) {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "bad_request", "Bad request")
            .with_detail("`path` must begin with '/' and have at most 512 bytes")
            .into_response());
    }
    match desk.issue(permit, origin, request.path).await {
        Ok((ticket, expires_at)) => {
            scene.record(Record::new(AuditEvent::TokenCreated, Outcome::Success).reason("ticket").by(permit));
            Ok(Json(TicketAnswer { ticket: ticket.reveal().to_owned(), expires: expires_at.as_seconds() }))
        }
        Err(TicketError::TooMany(_)) => {
            let denied = Record::new(AuditEvent::RateLimitExceeded, Outcome::Denied).reason("too_many_tickets");
            scene.record(denied.by(permit));
            Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_tickets", "Too many outstanding tickets")
                .with_retry_after(desk.lifetime())
                .into_response())
        }
        Err(TicketError::Store(error)) => Err(store_unavailable(&error)),
    }
}
