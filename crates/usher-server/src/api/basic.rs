//! `GET /auth` with HTTP Basic (RFC 7617): the documented `GET /auth → {token}` flow for scripts.

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use usher_axum::Problem;
use zeroize::Zeroizing;

use super::login::{PasswordLogins, origin_of};
use super::origin_guard::OriginGuard;
use super::scene::HttpScene;
use super::tokens;
use crate::cookies::CookieSettings;
use usher_accounts::Sessions;

/// How the password is presented, as the audit says it.
const METHOD: &str = "basic";

/// Log in with HTTP Basic.
///
/// Answers like a log-in, but sets no cookie: a browser's remembered Basic credential must not become a session by a mere link.
/// A query is refused, so that no password ends up in an access log.
#[utoipa::path(
    get, path = "/auth", tag = "auth", security(("basic" = [])),
    responses(
        (status = 200, description = "Logged in", body = tokens::TokenAnswer<'static>),
        (status = 400, description = "The request has a query, or the header is no Basic credential"),
        (status = 401, description = "No credential, or user and password do not go together"),
        (status = 429, description = "Too many failed attempts, or too many log-ins; see Retry-After"),
    )
)]
pub(super) async fn get_token(
    _guard: OriginGuard,
    State(logins): State<PasswordLogins>,
    State(sessions): State<Sessions>,
    State(cookies): State<CookieSettings>,
    scene: HttpScene,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Response> {
    if query.is_some() {
        let problem =
            Problem::new(StatusCode::BAD_REQUEST, "credentials_in_query", "Credentials do not belong in a URL");
        return Err(problem.with_detail("send user and password as HTTP Basic, without a query").into_response());
    }
    let (name, password) = basic(&headers).map_err(IntoResponse::into_response)?;
    let proven = logins.check(&name, password, &scene, METHOD).await?;
    let mut granted = logins.start(&sessions, proven, None, origin_of(scene.client, &headers), &scene, METHOD).await?;
    granted.cookie = None;
    tracing::info!(user = %granted.user.id, client = %scene.client.0, "logged in");
    Ok(tokens::answer(&granted, &cookies))
}

fn basic(headers: &HeaderMap) -> Result<(String, Zeroizing<String>), Problem> {
    let challenge = HeaderValue::from_static("Basic realm=\"usher\", charset=\"UTF-8\"");
    let missing = || {
        Problem::new(StatusCode::UNAUTHORIZED, "missing_credential", "Unauthorized")
            .with_header(WWW_AUTHENTICATE, challenge.clone())
    };
    let malformed = || {
        Problem::new(StatusCode::BAD_REQUEST, "malformed_credential", "Malformed credential")
            .with_detail("write the header as `Authorization: Basic` and the base64 of `user:password`, once")
    };
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or_else(missing)?;
    if values.next().is_some() {
        return Err(malformed());
    }
    let (scheme, encoded) = value.to_str().ok().and_then(|value| value.split_once(' ')).ok_or_else(malformed)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(missing());
    }
    let bytes = Zeroizing::new(STANDARD.decode(encoded).map_err(|_| malformed())?);
    let text = std::str::from_utf8(&bytes).map_err(|_| malformed())?;
    let (user, password) = text.split_once(':').ok_or_else(malformed)?;
    Ok((user.to_owned(), Zeroizing::new(password.to_owned())))
}
