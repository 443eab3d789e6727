//! `GET /healthz`, `GET /readyz`: is the process alive, and can it do its work?

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use usher_store::Store;
use utoipa::ToSchema;

use super::store_unavailable;

/// The answer of both.
#[derive(Serialize, ToSchema)]
pub(super) struct Health {
    /// Always `ok`; anything else is another HTTP status.
    status: &'static str,
}

/// The process is alive.
#[utoipa::path(
    get, path = "/healthz", tag = "operations",
    responses((status = 200, description = "Alive", body = Health))
)]
pub(super) async fn alive() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// The process can let people in.
#[utoipa::path(
    get, path = "/readyz", tag = "operations",
    responses((status = 200, description = "Ready", body = Health), (status = 503, description = "The store cannot be used"))
)]
pub(super) async fn ready(State(store): State<Arc<dyn Store>>) -> Result<Json<Health>, Response> {
    store.check().await.map_err(|error| store_unavailable(&error))?;
    Ok(Json(Health { status: "ok" }))
}
