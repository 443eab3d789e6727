//! `POST /auth/refresh`: a refresh token for its successor, or a session slid by its cookie.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;
use serde::Deserialize;
use usher_auth::Clock;
use usher_auth::carriers::Carrier;
use usher_auth::ids::UserId;
use usher_auth::refusal::{Refusal, RefusalKind};
use usher_axum::{Problem, Throttle};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::access::Caller;
use super::json::OptionalJson;
use super::origin_guard::OriginGuard;
use super::scene::HttpScene;
use super::{ApiState, store_unavailable, tokens};
use crate::cookies::CookieSettings;
use usher_accounts::{Granted, RefreshError, Sessions};
use usher_audit::{AuditEvent, Outcome, Record};

/// How a refresh token is presented, as the audit says it.
const METHOD: &str = "refresh_token";

/// A refresh token. Without a body the session cookie is slid instead.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RefreshRequest {
    /// As handed out last. It is spent by this.
    #[schema(value_type = String)]
    refresh_token: Zeroizing<String>,
}

/// The caller's cookie, if there is no body to go by.
pub(super) struct CookieCaller(Result<Caller, Problem>);

impl FromRequestParts<ApiState> for CookieCaller {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Self::Rejection> {
        let has_body = parts.headers.get(http::header::CONTENT_LENGTH).is_some_and(|length| length != "0")
            || parts.headers.contains_key(http::header::TRANSFER_ENCODING);
        if has_body {
            return Ok(Self(Err(no_session())));
        }
        Ok(Self(Caller::from_request_parts(parts, state).await))
    }
}

/// Refresh.
///
/// With a refresh token: rotates it and answers with a new access token. With the session cookie and no body: slides the session
/// and answers with a new access token.
#[utoipa::path(
    post, path = "/auth/refresh", tag = "auth", request_body = Option<RefreshRequest>,
    responses(
        (status = 200, description = "Refreshed", body = tokens::TokenAnswer<'static>),
        (status = 400, description = "The refresh token does not hold (code `invalid_grant`), or the body is not what it should be"),
        (status = 401, description = "No session"),
        (status = 403, description = "The page may not use its visitors' sessions"),
        (status = 429, description = "Too many failed attempts; see Retry-After"),
    )
)]
pub(super) async fn refresh(
    _guard: OriginGuard,
    State(sessions): State<Sessions>,
    State(throttle): State<Arc<Throttle>>,
    State(clock): State<Arc<dyn Clock>>,
    State(cookies): State<CookieSettings>,
    scene: HttpScene,
    CookieCaller(caller): CookieCaller,
    OptionalJson(request): OptionalJson<RefreshRequest>,
) -> Result<Response, Response> {
    let granted = match request {
        Some(request) => match sessions.refresh(&request.refresh_token).await {
            Ok(granted) => {
                renewed(&scene, &granted, METHOD);
                granted
            }
            Err(RefreshError::Store(error)) => return Err(store_unavailable(&error)),
            Err(RefreshError::TooMany { user, retry_after }) => {
                return Err(too_many(&user, retry_after, &scene, METHOD));
            }
            Err(error) => {
                let record = match &error {
                    RefreshError::Reused { user, session } => Record::new(AuditEvent::TokenReuse, Outcome::Failure)
                        .subject(user)
                        .session(session)
                        .detail("the session ends"),
                    other => {
                        let failed = Record::new(AuditEvent::LoginFail, Outcome::Failure).detail(other.to_string());
                        match other {
                            RefreshError::Invalid { user: Some(user), .. } => failed.subject(user),
                            _ => failed,
                        }
                    }
                };
                scene.record(record.reason("invalid_grant").carrier(METHOD));
                let address = scene.client;
                tracing::info!(client = %address.0, %error, "a refresh was refused");
                let throttled = throttle.record_failure(None, address.source(), clock.now());
                throttled.map_err(|refusal| scene.refuse(&refusal, METHOD).into_response())?;
                return Err(Problem::new(StatusCode::BAD_REQUEST, "invalid_grant", "The refresh token does not hold")
                    .into_response());
            }
        },
        None => {
            let permit = caller.map_err(IntoResponse::into_response)?.permit;
            let (Some(Carrier::Cookie), Some(session)) = (permit.carrier(), &permit.credential().session) else {
                return Err(no_session().into_response());
            };
            let slid = match sessions.slide(session).await {
                Ok(slid) => slid,
                Err(RefreshError::Store(error)) => return Err(store_unavailable(&error)),
                Err(RefreshError::TooMany { user, retry_after }) => {
                    return Err(too_many(&user, retry_after, &scene, Carrier::Cookie.as_str()));
                }
                Err(RefreshError::Invalid { .. } | RefreshError::Reused { .. }) => None,
            };
            let granted = slid.ok_or_else(|| {
                Problem::from(&Refusal::new(RefusalKind::InvalidSession, "the session ended meanwhile")).into_response()
            })?;
            renewed(&scene, &granted, Carrier::Cookie.as_str());
            granted
        }
    };
    Ok(tokens::answer(&granted, &cookies))
}

fn renewed(scene: &HttpScene, granted: &Granted, carrier: &'static str) {
    let record = Record::new(AuditEvent::SessionRenewed, Outcome::Success).carrier(carrier);
    scene.record(record.subject(&granted.user.id).session(&granted.session.id));
}

fn too_many(user: &UserId, retry_after: Duration, scene: &HttpScene, carrier: &'static str) -> Response {
    let denied = Record::new(AuditEvent::RateLimitExceeded, Outcome::Denied).reason("too_many_refreshes");
    scene.record(denied.carrier(carrier).subject(user));
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_refreshes", "Too many refreshes")
        .with_detail("a token lasts: refresh it shortly before it ends")
        .with_retry_after(retry_after)
        .into_response()
}

fn no_session() -> Problem {
    Problem::from(&Refusal::new(RefusalKind::MissingCredential, "no session cookie"))
        .with_detail("send {\"refresh_token\":\"…\"}, or the session cookie and no body")
}
