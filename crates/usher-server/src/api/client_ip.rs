//! The client's address, as an extractor.

use axum::extract::{FromRef, FromRequestParts};
use http::StatusCode;
use http::request::Parts;
use usher_axum::client_address::PeerAddress;
use usher_axum::{ClientAddress, Problem, TrustedProxies};

/// Where the request comes from.
pub(super) struct ClientIp(pub(super) ClientAddress);

impl<S> FromRequestParts<S> for ClientIp
where
    TrustedProxies: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Some(PeerAddress(peer)) = parts.extensions.get::<PeerAddress>().copied() else {
            tracing::error!("the server does not say where requests come from");
            return Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error"));
        };
        Ok(Self(TrustedProxies::from_ref(state).client(peer, &parts.headers)))
    }
}
