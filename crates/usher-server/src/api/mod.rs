//! The HTTP API: one endpoint a file.

mod access;
mod basic;
mod client_ip;
mod health;
mod json;
mod jwks;
mod login;
mod logout;
mod octoprint;
mod openapi;
mod origin_guard;
mod refresh;
mod scene;
mod session;
mod sessions;
mod tokens;
mod ws_ticket;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRef};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use http::header::{CACHE_CONTROL, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, StatusCode};
use tower::util::MapResponseLayer;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use usher_auth::origin::AllowedOrigins;
use usher_axum::{CredentialVerifier, Problem, Throttle, TrustedProxies};
use usher_store::Store;

use crate::cookies::CookieSettings;
use usher_accounts::AccessTokens;
use usher_accounts::LoginQueue;
use usher_accounts::PasswordHasher;
use usher_accounts::Sessions;
use usher_accounts::TicketIssuer;
use usher_audit::AuditTrail;

/// Largest request body, in bytes: nothing here needs more.
const MAX_BODY_BYTES: usize = 16 * 1024;

/// What the endpoints depend on; each takes only what it names.
#[derive(Clone, FromRef)]
pub struct ApiState {
    /// Users.
    pub store: Arc<dyn Store>,
    /// Log-ins.
    pub sessions: Sessions,
    /// Passwords.
    pub passwords: PasswordHasher,
    /// Log-ins that are under way, and those that wait.
    pub login_queue: LoginQueue,
    /// Tickets.
    pub ticket_issuer: TicketIssuer,
    /// The public keys.
    pub access_tokens: Arc<AccessTokens>,
    /// The one verifier.
    pub verifier: Arc<CredentialVerifier>,
    /// Failures counted.
    pub throttle: Arc<Throttle>,
    /// Where requests come from.
    pub trusted_proxies: TrustedProxies,
    /// The session cookie.
    pub cookies: CookieSettings,
    /// The pages that may use the API with their visitors' cookies.
    pub origins: Arc<AllowedOrigins>,
    /// What happens is recorded.
    pub audit: AuditTrail,
    /// The time.
    pub clock: Arc<dyn usher_auth::Clock>,
}

/// All endpoints; those that OctoPrint's clients know only if `octoprint`.
pub fn router(state: ApiState, octoprint: bool) -> Router {
    let mut api = Router::new()
        .route("/auth", get(basic::get_token))
        .route("/auth/login", post(login::log_in))
        .route("/auth/refresh", post(refresh::refresh))
        .route("/auth/logout", post(logout::log_out))
        .route("/auth/session", get(session::current))
        .route("/auth/sessions", get(sessions::list).delete(sessions::end_others))
        .route("/auth/sessions/{id}", delete(sessions::end))
        .route("/ws_ticket", get(ws_ticket::buy_with_header).post(ws_ticket::buy));
    if octoprint {
        api = api.merge(octoprint::router());
    }
    let api = api.layer(always(CACHE_CONTROL, "no-store"));
    let public = Router::new()
        .route("/.well-known/jwks.json", get(jwks::jwks))
        .route("/openapi.json", get(async move || openapi::openapi(octoprint)))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready));
    api.merge(public).with_state(state)
}

/// What every answer of the server has, whoever gives it: also those to paths and methods that are not ours, and the one to a
/// panic, which ends one request and not the process (req O3, O6).
pub fn finish(router: Router, origins: &AllowedOrigins, https: bool) -> Router {
    let router = router
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(origin_guard::cors(origins));
    protect(router, https)
}

/// What every answer has, also those of endpoints with rules of their own about other sites' pages.
pub fn protect(router: Router, https: bool) -> Router {
    router.layer(CatchPanicLayer::custom(panicked)).layer(MapResponseLayer::new(move |mut answer: Response| {
        protect_answer(&mut answer, https);
        answer
    }))
}

/// Puts on an answer what every one of them has.
pub(crate) fn protect_answer(answer: &mut Response, https: bool) {
    let mut add = |name: http::HeaderName, value| {
        answer.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    };
    add(X_CONTENT_TYPE_OPTIONS, "nosniff");
    add(REFERRER_POLICY, "no-referrer");
    if https {
        add(STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
}

/// The answer to a path that is not ours.
async fn not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not_found", "Not found")
}

/// The answer to a method that a path of ours does not have. axum adds `Allow`.
async fn method_not_allowed() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "Method not allowed")
}

fn always(name: http::HeaderName, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
}

/// Nothing can be decided without the store: say so, and let nobody in (req O6).
fn store_unavailable(error: &usher_store::StoreError) -> Response {
    tracing::error!(%error, source = %error.source, "the store cannot be used");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Service unavailable").into_response()
}

/// A panic's own text stays in the log.
fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error").into_response()
}
