//! Where a request comes from and goes to, for the audit.

use axum::extract::{FromRef, FromRequestParts, MatchedPath};
use http::request::Parts;
use usher_auth::Refusal;
use usher_auth::origin::RequestOrigin;
use usher_axum::{ClientAddress, Problem, TrustedProxies};

use super::client_ip::ClientIp;
use usher_audit::{AuditTrail, Record};

/// A request's surroundings, and the trail that what it does is recorded in.
pub(super) struct HttpScene {
    pub(super) client: ClientAddress,
    origin: Option<String>,
    route: String,
    audit: AuditTrail,
}

impl<S> FromRequestParts<S> for HttpScene
where
    TrustedProxies: FromRef<S>,
    AuditTrail: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let ClientIp(client) = ClientIp::from_request_parts(parts, state).await?;
        let matched = parts.extensions.get::<MatchedPath>();
        let route = matched.map_or_else(|| parts.uri.path(), MatchedPath::as_str).to_owned();
        let origin = RequestOrigin::of(&parts.headers).as_str().map(str::to_owned);
        Ok(Self { client, origin, route, audit: AuditTrail::from_ref(state) })
    }
}

impl HttpScene {
    /// Records that something happened here.
    pub(super) fn record(&self, record: Record) {
        self.audit.record(record.from(self.client, self.origin.as_deref(), &self.route));
    }

    /// Records a refusal; the problem to answer with.
    pub(super) fn refuse(&self, refusal: &Refusal, carrier: &'static str) -> Problem {
        self.record(Record::refused(refusal).carrier(carrier));
        Problem::from(refusal)
    }
}
