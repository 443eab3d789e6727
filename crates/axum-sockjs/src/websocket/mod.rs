//! The WebSocket transports: the upgrade, and the task of the socket.

mod fragments;
mod handshake;
mod metered;
mod socket;

pub use fragments::Fragments;

use std::sync::Arc;

use axum::response::Response;
use http::request::Parts;
use hyper::upgrade::OnUpgrade;

use crate::Transport;
use crate::application::{Application, TransportRequest};
use crate::http::answer;
use crate::service::{Inner, Opened};
use crate::session::machine::ReceiverKind;

/// Answers an upgrade request; the socket goes on in a task of its own.
pub(crate) async fn upgrade<A: Application>(
    service: &Arc<Inner<A>>,
    mut parts: Parts,
    transport: Transport,
) -> Response {
    let accept = match handshake::check(&parts) {
        Ok(accept) => accept,
        Err(problem) => return problem,
    };
    let Some(on_upgrade) = parts.extensions.remove::<OnUpgrade>() else {
        return answer::text(http::StatusCode::BAD_REQUEST, "This connection cannot be upgraded.\n");
    };
    let request = TransportRequest::new(transport, &parts);
    let (entry, receiver) = match service.open(None, &request, ReceiverKind::Socket).await {
        Ok(Opened::New(entry, receiver)) => (entry, receiver),
        Ok(Opened::Lost(_)) => unreachable!("a session without a name is always new"),
        Err(response) => return response,
    };
    let service = service.clone();
    tokio::spawn(async move {
        match on_upgrade.await {
            Ok(upgraded) => socket::run(upgraded, &service, &entry, receiver, transport).await,
            // The receiver is dropped, and the session ends as interrupted.
            Err(error) => tracing::debug!(%error, "the client left before the upgrade was done"),
        }
    });
    handshake::switching_protocols(accept)
}
