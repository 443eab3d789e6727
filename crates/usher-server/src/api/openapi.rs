//! `GET /openapi.json`: this API described, generated from the code.

use axum::Json;
use utoipa::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, openapi};

#[derive(OpenApi)]
#[openapi(
    info(title = "Usher", description = "Log in, renew, log out, and buy tickets for WebSockets."),
    paths(
        super::basic::get_token,
        super::login::log_in,
        super::refresh::refresh,
        super::logout::log_out,
        super::session::current,
        super::sessions::list,
        super::sessions::end_others,
        super::sessions::end,
        super::ws_ticket::buy_with_header,
        super::ws_ticket::buy,
        super::jwks::jwks,
        super::health::alive,
        super::health::ready,
    ),
    modifiers(&Schemes),
    security(("bearer" = []), ("api_key" = []), ("cookie" = []))
)]
struct Api;

/// What is there for OctoPrint's clients.
#[derive(OpenApi)]
#[openapi(paths(super::octoprint::log_in, super::octoprint::log_out, super::octoprint::version))]
struct OctoPrintApi;

struct Schemes;

impl Modify for Schemes {
    fn modify(&self, document: &mut openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
        components.add_security_scheme("basic", SecurityScheme::Http(Http::new(HttpAuthScheme::Basic)));
        components
            .add_security_scheme("api_key", SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-Api-Key"))));
        components
            .add_security_scheme("cookie", SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new("__Host-usher"))));
    }
}

/// The document; with what is there for OctoPrint's clients only if `octoprint`.
pub fn document(octoprint: bool) -> openapi::OpenApi {
    let mut document = Api::openapi();
    if octoprint {
        document.merge(OctoPrintApi::openapi());
    }
    document
}

pub(super) fn openapi(octoprint: bool) -> Json<openapi::OpenApi> {
    Json(document(octoprint))
}
