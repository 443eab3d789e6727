//! What operators and their programs read over HTTP, on a listener of its own: metrics and health (req O4).
//!
//! A page that has its name resolve to this machine (DNS rebinding) is told apart by the `Host` that its visitor's browser sends.

use std::sync::Arc;

use axum::extract::{FromRef, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST, X_CONTENT_TYPE_OPTIONS};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use url::Host;
use usher_axum::Problem;
use usher_store::Store;

use crate::metrics::{self, Metrics, Owners};
use usher_audit::AuditTrail;

/// What the endpoints depend on.
#[derive(Clone, FromRef)]
pub(crate) struct AdminState {
    /// The names we answer to.
    pub(crate) hosts: Arc<Vec<Host>>,
    pub(crate) metrics: Metrics,
    pub(crate) owners: Arc<Owners>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) audit: AuditTrail,
}

/// All endpoints.
pub(crate) fn router(state: AdminState) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(health))
        .route("/readyz", get(ready))
        .fallback(|| async { Problem::new(StatusCode::NOT_FOUND, "not_found", "Not found") })
        .method_not_allowed_fallback(|| async {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "Method not allowed")
        })
        .layer(from_fn_with_state(state.hosts.clone(), for_us))
        .with_state(state)
}

/// Answers only what was asked of one of our names.
async fn for_us(State(hosts): State<Arc<Vec<Host>>>, request: Request, next: Next) -> Response {
    let mut response = match host(request.headers()) {
        Some(host) if is_ours(&host, &hosts) => next.run(request).await,
        _ => Problem::new(StatusCode::MISDIRECTED_REQUEST, "misdirected_request", "Misdirected request")
            .with_detail("ask for it by the address that admin.listen names, or by localhost")
            .into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// The host of a `Host` header that is given exactly once, whatever its port.
fn host(headers: &HeaderMap) -> Option<Host> {
    let mut values = headers.get_all(HOST).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let authority: Authority = value.to_str().ok()?.parse().ok()?;
    Host::parse(authority.host()).ok()
}

fn is_ours(host: &Host, hosts: &[Host]) -> bool {
    let loopback = match host {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    loopback || hosts.contains(host)
}

async fn metrics(State(metrics): State<Metrics>, State(owners): State<Arc<Owners>>) -> Response {
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics.text(&owners)).into_response()
}

/// How the process fares.
#[derive(Serialize)]
struct Health {
    status: &'static str,
    /// `ok`, or `failing`: connections go on, and what cannot be written is kept and tried again.
    audit: &'static str,
    /// Audit records that wait for a sink that fails; absent if there are none.
    #[serde(skip_serializing_if = "is_zero")]
    audit_waiting: u64,
    /// Audit records lost since the start; absent if there are none.
    #[serde(skip_serializing_if = "is_zero")]
    audit_lost: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Health {
    fn of(audit: &AuditTrail) -> Json<Self> {
        let status = audit.status();
        Json(Self {
            status: "ok",
            audit: if status.failing { "failing" } else { "ok" },
            audit_waiting: status.pending.iter().sum(),
            audit_lost: status.lost.iter().sum::<u64>() + status.dropped,
        })
    }
}

async fn health(State(audit): State<AuditTrail>) -> Json<Health> {
    Health::of(&audit)
}

async fn ready(State(store): State<Arc<dyn Store>>, State(audit): State<AuditTrail>) -> Result<Json<Health>, Problem> {
    store.check().await.map_err(|error| {
        tracing::error!(%error, source = %error.source, "the store cannot be used");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Service unavailable")
    })?;
    Ok(Health::of(&audit))
}
