//! `GET /api/version`: which OctoPrint this can be taken for. Clients ask it first, to see whether their key is good.

use axum::Json;
use serde::Serialize;
use usher_auth::wire::octoprint::OCTOPRINT_VERSION;
use utoipa::ToSchema;

use super::super::access::Caller;
use super::NoCredentialInQuery;

/// Versions.
#[derive(Serialize, ToSchema)]
pub(super) struct VersionAnswer {
    /// The OctoPrint whose conventions these are.
    server: &'static str,
    /// Of OctoPrint's HTTP API.
    api: &'static str,
    /// For people to read.
    text: String,
}

/// Which OctoPrint is this?
#[utoipa::path(
    get, path = "/api/version", tag = "octoprint",
    responses(
        (status = 200, description = "The versions", body = VersionAnswer),
        (status = 400, description = "A credential is in the URL"),
        (status = 403, description = "No credential that holds"),
    )
)]
pub(in super::super) async fn version(_url: NoCredentialInQuery, _caller: Caller) -> Json<VersionAnswer> {
    let text = format!("Usher {}, for clients of OctoPrint {OCTOPRINT_VERSION}", env!("CARGO_PKG_VERSION"));
    Json(VersionAnswer { server: OCTOPRINT_VERSION, api: "0.1", text })
}
