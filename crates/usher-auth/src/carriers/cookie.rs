//! The session cookie: ambient, so it counts only where nothing explicit is presented and the Origin is allowed.

use http::HeaderMap;
use http::header::COOKIE;

use super::{Credential, repeated};
use crate::refusal::Refusal;
use crate::secret::{PlainToken, TokenKind};

/// The session cookie called `name`, over all `Cookie` headers.
///
/// Two of that name are refused: a sibling domain may have planted one of them (req J3). Names are compared exactly, so that
/// `__host-usher`, which no browser protects, is not ours. What other cookies hold is nobody's business here: browsers send bytes
/// beyond ASCII, and one such cookie of a neighbour must not take ours away (RFC 6265 §4.2.2 has no meaning for their values).
pub(super) fn find(headers: &HeaderMap, name: &str) -> Result<Option<Credential>, Refusal> {
    let mut found = None;
    let pairs = headers.get_all(COOKIE).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b';'));
    for value in pairs.filter_map(|pair| value_of(pair, name)) {
        let secret = std::str::from_utf8(value).ok().and_then(|text| PlainToken::parse(TokenKind::Session, text));
        if found.replace(secret.map_or(Credential::Unrecognised, Credential::Session)).is_some() {
            return Err(repeated(format!("the request carries the cookie {name} twice: remove one of them")));
        }
    }
    Ok(found)
}

/// The value of a `name=value` pair of that name, without the blanks around it.
fn value_of<'a>(pair: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let equals = pair.iter().position(|byte| *byte == b'=')?;
    let (given, value) = (pair[..equals].trim_ascii(), pair[equals + 1..].trim_ascii());
    (given == name.as_bytes()).then_some(value)
}
