//! `POST /api/login`: a password for a session, or the user behind a credential, and with either the key for the socket.

use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::response::{IntoResponse, Response};
use http::header::SET_COOKIE;
use http::request::Parts;
use usher_auth::Refusal;
use usher_auth::carriers::{Credential, explicit_header};
use usher_auth::refusal::RefusalKind;
use usher_auth::secret::SecretText;
use usher_axum::Problem;
use zeroize::Zeroizing;

use super::super::access::Caller;
use super::super::login::{PasswordLogins, origin_of, previous_session};
use super::super::origin_guard::OriginGuard;
use super::super::scene::HttpScene;
use super::super::{ApiState, store_unavailable};
use super::body::{Login, LoginBody};
use super::user::{LoginMechanism, UserAnswer};
use super::{NoCredentialInQuery, Visitor, guest};

/// How the password is presented, as the audit says it.
const METHOD: &str = "password";

/// Log in as OctoPrint's clients do.
///
/// With `user` and `pass`: logs in, sets the session cookie, and hands out a session key. With `passive`: says who the caller is by the
/// session cookie, which yields a session key, or by an API key or a token, which is handed back as it came. Who brings nothing, or
/// a cookie whose session is over, is a guest without a `name`.
#[utoipa::path(
    post, path = "/api/login", tag = "octoprint",
    request_body(content((LoginBody = "application/json"), (LoginBody = "application/x-www-form-urlencoded"))),
    responses(
        (status = 200, description = "Who it is; after a password with the session cookie", body = UserAnswer<'static>),
        (status = 400, description = "The body is not what it should be, or a credential is in the URL"),
        (status = 403, description = "User and password do not go together, the credential does not hold, or the page may not log its visitors in"),
        (status = 415, description = "The body is neither JSON nor a form"),
        (status = 429, description = "Too many failed attempts, or too many log-ins; see Retry-After"),
        (status = 503, description = "Try again later; see Retry-After"),
    )
)]
pub(in super::super) async fn log_in(
    _guard: OriginGuard,
    _url: NoCredentialInQuery,
    State(state): State<ApiState>,
    request: Request,
) -> Result<Response, Response> {
    let (mut parts, body) = request.into_parts();
    let request = Request::from_parts(parts.clone(), body);
    match Login::from_request(request, &state).await.map_err(IntoResponse::into_response)? {
        Login::Password { user, pass } => with_password(&user, pass, &mut parts, &state).await,
        Login::Passive => passively(&mut parts, &state).await,
    }
}

async fn with_password(
    user: &str,
    pass: Zeroizing<String>,
    parts: &mut Parts,
    state: &ApiState,
) -> Result<Response, Response> {
    let scene = HttpScene::from_request_parts(parts, state).await.map_err(IntoResponse::into_response)?;
    let logins = <PasswordLogins as axum::extract::FromRef<ApiState>>::from_ref(state);
    let (sessions, cookies) = (&state.sessions, &state.cookies);
    let proven = logins.check(user, pass, &scene, METHOD).await?;
    let replaced = previous_session(&state.store, cookies, &parts.headers).await?;
    let origin = origin_of(scene.client, &parts.headers);
    let granted = logins.start(sessions, proven, replaced, origin, &scene, METHOD).await?;
    tracing::info!(user = %granted.user.id, client = %scene.client.0, "logged in");
    let key = sessions.key(&granted.session);
    let answer = UserAnswer::new(&granted.user.id, &granted.user.roles, key.reveal(), LoginMechanism::Password);
    let mut response = axum::Json(answer).into_response();
    if let Some(cookie) = &granted.cookie {
        response.headers_mut().insert(SET_COOKIE, cookies.set(cookie));
    }
    Ok(response)
}

async fn passively(parts: &mut Parts, state: &ApiState) -> Result<Response, Response> {
    let visitor = Visitor::of(parts, state).await.map_err(IntoResponse::into_response)?;
    let Visitor::Caller(Caller { permit, .. }) = visitor else { return Ok(guest(&state.cookies)) };
    let presented = explicit_header(&parts.headers).map_err(|refusal| Problem::from(&refusal).into_response())?;
    let (key, mechanism) = match presented {
        // The caller holds these already. A session's key for one of its tokens would be a long life for a short one.
        Some(Credential::ApiKey { key, .. }) => (SecretText::new(key.reveal()), LoginMechanism::ApiKey),
        Some(Credential::Token(token)) => (token, LoginMechanism::AuthHeader),
        _ => {
            let ended = || Problem::from(&Refusal::new(RefusalKind::InvalidSession, "the session ended meanwhile"));
            let id = permit.credential().session.as_ref().ok_or_else(|| ended().into_response())?;
            let session = state.sessions.session(id).await.map_err(|error| store_unavailable(&error))?;
            let session = session.ok_or_else(|| ended().into_response())?;
            (state.sessions.key(&session), LoginMechanism::Password)
        }
    };
    let principal = permit.principal();
    Ok(axum::Json(UserAnswer::new(&principal.id, &principal.roles, key.reveal(), mechanism)).into_response())
}
