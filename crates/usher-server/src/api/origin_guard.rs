//! Which pages may call the API (req B5).

use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method};
use tower_http::cors::{AllowOrigin, CorsLayer};
use usher_auth::Refusal;
use usher_auth::origin::{AllowedOrigins, RequestOrigin};
use usher_auth::refusal::RefusalKind;
use usher_axum::{Problem, TrustedProxies};

use super::scene::HttpScene;
use usher_audit::{AuditTrail, Record};

/// Proof that the request comes from no page at all, or from one that is allowed: a foreign page can neither log its visitor in
/// as somebody else nor out.
pub(super) struct OriginGuard;

impl<S> FromRequestParts<S> for OriginGuard
where
    Arc<AllowedOrigins>: FromRef<S>,
    TrustedProxies: FromRef<S>,
    AuditTrail: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let origin = RequestOrigin::of(&parts.headers);
        if origin == RequestOrigin::Absent || Arc::<AllowedOrigins>::from_ref(state).allow(origin) {
            return Ok(Self);
        }
        let refusal = Refusal::new(RefusalKind::OriginForbidden, "a foreign Origin");
        HttpScene::from_request_parts(parts, state).await?.record(Record::refused(&refusal));
        Err(Problem::from(&refusal))
    }
}

/// Lets scripts of the allowed pages read the answers; reflects no other Origin, and never `*`.
pub(super) fn cors(origins: &AllowedOrigins) -> CorsLayer {
    let allowed: Vec<HeaderValue> =
        origins.iter().filter_map(|origin| HeaderValue::from_str(origin.as_str()).ok()).collect();
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(allowed))
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        // OctoPrint's client sends `Cache-Control` with each POST.
        .allow_headers([AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderName::from_static("x-api-key")])
}
