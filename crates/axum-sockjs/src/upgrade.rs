//! The form of a WebSocket upgrade request (RFC 6455 §4.2.1): one strict check for every endpoint, also those of other crates.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    ALLOW, CONNECTION, CONTENT_LENGTH, HOST, HeaderName, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING,
    UPGRADE,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};

/// The one version there is. The older drafts are not supported, hixie-76 among them.
pub const VERSION: &str = "13";
/// Length of the nonce in bytes (RFC 6455 §4.1).
const NONCE_BYTES: usize = 16;

/// Why a request is not a WebSocket upgrade. The texts may be shown to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MalformedUpgrade {
    /// Its method is not GET.
    #[error("a WebSocket is opened with GET")]
    Method,
    /// It is not HTTP/1.1.
    #[error("a WebSocket upgrade needs HTTP/1.1")]
    HttpVersion,
    /// Its `Host` is missing, or is there more than once.
    #[error("the request must have exactly one Host header")]
    Host,
    /// It announces a body. Some servers would read that as the first frames, and others as the next request.
    #[error("a WebSocket upgrade has no body")]
    Body,
    /// Its `Upgrade` does not list `websocket`.
    #[error("this is a WebSocket endpoint: the request needs `Upgrade: websocket`")]
    Upgrade,
    /// Its `Connection` does not list `upgrade`.
    #[error("the request needs `Connection: Upgrade`")]
    Connection,
    /// It names no version.
    #[error("the request needs `Sec-WebSocket-Version: 13`")]
    NoVersion,
    /// It names another version, or several.
    #[error("the WebSocket version must be 13")]
    OtherVersion,
    /// Its key is missing, is there more than once, or is not the base64 of 16 bytes.
    #[error("the request needs one Sec-WebSocket-Key, the base64 of 16 bytes")]
    Key,
}

impl MalformedUpgrade {
    /// The status to answer with: 405, 426 or 400.
    pub fn status(self) -> StatusCode {
        match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::OtherVersion => StatusCode::UPGRADE_REQUIRED,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// The headers that belong to such an answer: `Allow`, or what RFC 6455 §4.4 and RFC 9110 §15.5.22 ask of a 426.
    pub fn headers(self) -> HeaderMap {
        let headers: &[(HeaderName, &'static str)] = match self {
            Self::Method => &[(ALLOW, "GET")],
            Self::OtherVersion => &[(SEC_WEBSOCKET_VERSION, VERSION), (UPGRADE, "websocket"), (CONNECTION, "Upgrade")],
            _ => &[],
        };
        headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }
}

/// The key of a request that is a WebSocket upgrade in form. Looks at no credential and no path.
///
/// # Errors
/// With the first rule that the request breaks.
pub fn check<'a>(method: &Method, version: Version, headers: &'a HeaderMap) -> Result<&'a str, MalformedUpgrade> {
    if method != Method::GET {
        return Err(MalformedUpgrade::Method);
    }
    if version != Version::HTTP_11 {
        return Err(MalformedUpgrade::HttpVersion);
    }
    if one(headers, &HOST).is_none() {
        return Err(MalformedUpgrade::Host);
    }
    if headers.contains_key(TRANSFER_ENCODING) || headers.get_all(CONTENT_LENGTH).iter().any(|length| length != "0") {
        return Err(MalformedUpgrade::Body);
    }
    if !lists(headers, &UPGRADE, "websocket") {
        return Err(MalformedUpgrade::Upgrade);
    }
    if !lists(headers, &CONNECTION, "upgrade") {
        return Err(MalformedUpgrade::Connection);
    }
    match one(headers, &SEC_WEBSOCKET_VERSION) {
        Some(VERSION) => {}
        None if !headers.contains_key(SEC_WEBSOCKET_VERSION) => return Err(MalformedUpgrade::NoVersion),
        _ => return Err(MalformedUpgrade::OtherVersion),
    }
    let is_nonce = |key: &&str| STANDARD.decode(key).is_ok_and(|nonce| nonce.len() == NONCE_BYTES);
    one(headers, &SEC_WEBSOCKET_KEY).filter(is_nonce).ok_or(MalformedUpgrade::Key)
}

/// The value of a header that is given exactly once and is ASCII.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

/// Whether a comma-separated header lists `token`, in any case.
fn lists(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|item| item.trim_matches([' ', '\t']).eq_ignore_ascii_case(token))
}
