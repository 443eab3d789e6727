//! A credential in the list of subprotocols, as Kubernetes introduced it for browsers: a token the client offers as if it were a
//! protocol. It is never echoed; only the real protocol is (req C3, A4).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::SEC_WEBSOCKET_PROTOCOL;

use super::{Credential, malformed, repeated};
use crate::protocol::SUBPROTOCOL;
use crate::refusal::Refusal;

/// What stands before the base64url of the token.
pub const BEARER_PROTOCOL_PREFIX: &str = "base64url.bearer.authorization.k8s.io.";

/// The credential among the offered subprotocols.
pub(super) fn bearer(headers: &HeaderMap) -> Result<Option<Credential>, Refusal> {
    let mut bearers = offered(headers).filter_map(|protocol| protocol.strip_prefix(BEARER_PROTOCOL_PREFIX));
    let Some(encoded) = bearers.next() else { return Ok(None) };
    if bearers.next().is_some() {
        return Err(repeated("two bearer subprotocols are offered"));
    }
    if negotiate(headers, &[SUBPROTOCOL]).is_none() {
        return Err(malformed("offer the subprotocol `usher.v1` beside the bearer one: the bearer is never selected"));
    }
    let not_base64 = || malformed("the bearer subprotocol must end in the token as base64url without padding");
    let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| not_base64())?;
    let text = String::from_utf8(bytes).map_err(|_| not_base64())?;
    Ok(Some(Credential::classify_lasting(&text)))
}

/// The subprotocol to answer with: the first that the client offers and the route speaks, else none (RFC 6455 §4.2.2).
pub fn negotiate(headers: &HeaderMap, spoken: &[&'static str]) -> Option<&'static str> {
    offered(headers).find_map(|protocol| spoken.iter().find(|spoken| **spoken == protocol).copied())
}

fn offered(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|protocol| protocol.trim_matches([' ', '\t']))
        .filter(|protocol| !protocol.is_empty())
}
