//! Who calls the API: the same credentials and the same verifier as at an upgrade.

use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use http::Method;
use http::request::Parts;
use usher_auth::Permit;
use usher_auth::carriers::{Carrier, Credential, explicit_header, session_cookie};
use usher_auth::connection::Verification;
use usher_auth::origin::{AllowedOrigins, RequestOrigin};
use usher_auth::refusal::{Refusal, RefusalKind};
use usher_axum::{CredentialVerifier, Presenter, Problem, TrustedProxies};

use super::scene::HttpScene;
use crate::cookies::CookieSettings;
use usher_audit::{AuditTrail, Record};

/// The caller, by `Authorization`, `X-Api-Key` or the session cookie. The cookie needs an allowed Origin on every method that
/// changes something.
pub(super) struct Caller {
    pub(super) permit: Permit,
    pub(super) origin: Option<String>,
}

impl<S> FromRequestParts<S> for Caller
where
    TrustedProxies: FromRef<S>,
    CookieSettings: FromRef<S>,
    Arc<AllowedOrigins>: FromRef<S>,
    Arc<CredentialVerifier>: FromRef<S>,
    AuditTrail: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let scene = HttpScene::from_request_parts(parts, state).await?;
        let address = scene.client;
        let origin = RequestOrigin::of(&parts.headers);
        let presented =
            present(parts, &CookieSettings::from_ref(state), &Arc::<AllowedOrigins>::from_ref(state), origin);
        let (carrier, credential) = presented.map_err(|refusal| match refusal.kind() {
            // Nobody tried anything.
            RefusalKind::MissingCredential => Problem::from(&refusal),
            _ => {
                scene.record(Record::refused(&refusal));
                Problem::from(&refusal)
            }
        })?;
        let origin = origin.as_str().map(str::to_owned);
        let presenter = Presenter { address, origin: origin.clone(), path: parts.uri.path().to_owned() };
        let verifier = Arc::<CredentialVerifier>::from_ref(state);
        match verifier.verify(Verification { carrier, credential }, &presenter).await {
            Ok(permit) => Ok(Self { permit, origin }),
            Err(refusal) => {
                tracing::info!(client = %address.0, path = %parts.uri.path(), code = refusal.code(), detail = refusal.detail(), "refused");
                Err(scene.refuse(&refusal, carrier.as_str()))
            }
        }
    }
}

fn present(
    parts: &Parts,
    cookies: &CookieSettings,
    origins: &AllowedOrigins,
    origin: RequestOrigin<'_>,
) -> Result<(Carrier, Credential), Refusal> {
    if let Some(credential) = explicit_header(&parts.headers)? {
        return Ok((Carrier::Header, credential));
    }
    let missing = || Refusal::new(RefusalKind::MissingCredential, "no credential was presented");
    let credential = session_cookie(&parts.headers, &cookies.name)?.ok_or_else(missing)?;
    // Browsers send an Origin with whatever changes something, but not with a same-origin GET.
    let safe = parts.method == Method::GET && origin == RequestOrigin::Absent;
    if safe || origins.allow(origin) {
        Ok((Carrier::Cookie, credential))
    } else {
        Err(Refusal::new(RefusalKind::OriginForbidden, "a session cookie without an allowed Origin"))
    }
}
