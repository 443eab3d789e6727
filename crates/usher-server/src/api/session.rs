//! `GET /auth/session`: who am I?

use axum::Json;
use serde::Serialize;
use usher_auth::UnixTime;
use usher_auth::carriers::Carrier;
use utoipa::ToSchema;

use super::access::Caller;

/// Who the caller is.
#[derive(Serialize, ToSchema)]
pub(super) struct SessionAnswer {
    /// The user.
    user: SessionUser,
    /// The session the credential belongs to; absent for API keys and other issuers' tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    /// How the credential was presented.
    carrier: Option<&'static str>,
    /// When it ends, in Unix seconds; `null` is never.
    expires_at: Option<i64>,
}

/// A user and their roles.
#[derive(Serialize, ToSchema)]
struct SessionUser {
    /// Unique.
    id: String,
    /// For people to read.
    name: String,
    /// What room rules may ask for.
    roles: Vec<String>,
}

/// Who am I?
#[utoipa::path(
    get, path = "/auth/session", tag = "auth",
    responses(
        (status = 200, description = "The caller", body = SessionAnswer),
        (status = 401, description = "No credential that holds"),
    )
)]
pub(super) async fn current(Caller { permit, .. }: Caller) -> Json<SessionAnswer> {
    let principal = permit.principal();
    Json(SessionAnswer {
        user: SessionUser {
            id: principal.id.to_string(),
            name: principal.name.clone(),
            roles: principal.roles.iter().map(ToString::to_string).collect(),
        },
        session: permit.credential().session.as_ref().map(ToString::to_string),
        carrier: permit.carrier().map(Carrier::as_str),
        expires_at: permit.expires_at().map(UnixTime::as_seconds),
    })
}
