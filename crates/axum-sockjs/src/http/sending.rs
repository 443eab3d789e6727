//! `xhr_send` and `jsonp_send`: messages from the client.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::response::Response;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use tokio::time::timeout;

use super::answer;
use crate::application::{Application, OnMalformed, TransportRequest};
use crate::codec::{DecodeError, Wrapping, decode};
use crate::path::SessionId;
use crate::registry::Entry;
use crate::service::Inner;
use crate::session::message::{Incoming, Malformed};
use crate::{Limits, Transport};

const FORM: &str = "application/x-www-form-urlencoded";

pub(crate) async fn answer<A: Application>(
    service: &Arc<Inner<A>>,
    id: &SessionId,
    transport: Transport,
    parts: Parts,
    body: Body,
) -> Response {
    let Some(entry) = service.registry.find(id) else { return answer::empty(StatusCode::NOT_FOUND) };
    let request = TransportRequest::new(transport, &parts);
    if let Err(refusal) = service.application.admit(&entry.opener, &request).await {
        return refusal;
    }
    let limits = &service.config.limits;
    let most = limits.request_bytes.min(entry.live.input_left());
    let text = match read(body, limits, most).await {
        Ok(text) if !entry.live.count_input(text.len()) => return too_big(),
        Ok(text) if transport == Transport::JsonpSend && is_form(&parts.headers) => form_field(&text),
        Ok(text) => text,
        Err(response) => return response,
    };
    let batch = match batch(service, &entry, text, transport) {
        Ok(batch) => batch,
        Err(response) => return response,
    };
    match timeout(limits.inbound_wait, entry.live.deliver(&mut Some(batch))).await {
        Ok(Ok(())) if transport == Transport::JsonpSend => answer::text(StatusCode::OK, "ok"),
        Ok(Ok(())) => answer::no_content(),
        // Closed, and not forgotten yet; for the client it is not there any more.
        Ok(Err(_)) => answer::empty(StatusCode::NOT_FOUND),
        Err(_) => answer::text(StatusCode::SERVICE_UNAVAILABLE, "Too much unread.\n"),
    }
}

async fn read(body: Body, limits: &Limits, most: usize) -> Result<String, Response> {
    let Ok(read) = timeout(limits.body_wait, to_bytes(body, most)).await else {
        return Err(answer::empty(StatusCode::REQUEST_TIMEOUT));
    };
    let Ok(bytes) = read else { return Err(too_big()) };
    String::from_utf8(bytes.into()).map_err(|_| broken())
}

fn batch<A: Application>(
    service: &Inner<A>,
    entry: &Entry<A::Opener>,
    text: String,
    transport: Transport,
) -> Result<Vec<Incoming>, Response> {
    let error = match decode(&text, Wrapping::Array, service.config.limits.message_bytes) {
        Ok(messages) => return Ok(messages.into_iter().map(Incoming::Message).collect()),
        Err(error) => error,
    };
    let malformed = Malformed { error, text, transport };
    match error {
        DecodeError::Empty => Err(payload_expected()),
        DecodeError::TooBig => Err(too_big()),
        _ if service.application.malformed(&entry.opener, &malformed) == OnMalformed::Deliver => {
            Ok(vec![Incoming::Malformed(malformed)])
        }
        DecodeError::BrokenJson => Err(broken()),
        DecodeError::NotWrapped | DecodeError::NotStrings => Err(payload_expected()),
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    content_type.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(FORM))
}

/// The field `d`; nothing, if there is none.
fn form_field(form: &str) -> String {
    let mut fields = form_urlencoded::parse(form.as_bytes());
    fields.find(|(name, _)| name == "d").map(|(_, value)| value.into_owned()).unwrap_or_default()
}

fn payload_expected() -> Response {
    answer::text(StatusCode::INTERNAL_SERVER_ERROR, "Payload expected.\n")
}

fn broken() -> Response {
    answer::text(StatusCode::INTERNAL_SERVER_ERROR, "Broken JSON encoding.\n")
}

fn too_big() -> Response {
    answer::text(StatusCode::PAYLOAD_TOO_LARGE, "Message too big.\n")
}
