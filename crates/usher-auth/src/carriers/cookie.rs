//! The session cookie: ambient, so it counts only where nothing explicit is presented and the Origin is allowed.

use ::cookie::Cookie;
use http::HeaderMap;
use http::header::COOKIE;

use super::{Credential, repeated};
use crate::refusal::Refusal;
use crate::secret::{PlainToken, TokenKind};

/// The session cookie called `name`, over all `Cookie` headers.
///
/// Two of that name are refused: a sibling domain may have planted one of them (req J3). Names are compared exactly, so that
/// `__host-usher`, which no browser protects, is not ours.
pub(super) fn find(headers: &HeaderMap, name: &str) -> Result<Option<Credential>, Refusal> {
    let mut found = None;
    let texts = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    for cookie in texts.flat_map(Cookie::split_parse).filter_map(Result::ok) {
        if cookie.name() != name {
            continue;
        }
        let credential =
            PlainToken::parse(TokenKind::Session, cookie.value()).map_or(Credential::Unrecognised, Credential::Session);
        if found.replace(credential).is_some() {
            return Err(repeated("the request carries the session cookie twice"));
        }
    }
    Ok(found)
}
