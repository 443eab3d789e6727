//! Credentials in a header: `Authorization: Bearer …` and `X-Api-Key`, for clients that are not browsers.

use http::header::{AUTHORIZATION, HeaderName};
use http::{HeaderMap, HeaderValue};

use super::{Credential, malformed, repeated};
use crate::refusal::Refusal;

/// Where an API key may stand instead of in `Authorization`.
const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The bearer token: scheme in any case, one space, token68 (RFC 6750 §2.1, RFC 9110 §11.2; req C4).
///
/// Another scheme is no credential of ours and is not looked at: `Basic` may belong to a proxy before us.
pub(super) fn bearer(headers: &HeaderMap) -> Result<Option<Credential>, Refusal> {
    let Some(value) = only(headers, &AUTHORIZATION, "the request carries two Authorization headers")? else {
        return Ok(None);
    };
    let value = value.to_str().map_err(|_| malformed("the Authorization header must be ASCII"))?;
    let (scheme, rest) = value.split_at(value.bytes().position(|b| !is_token_byte(b)).unwrap_or(value.len()));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Ok(None);
    }
    let Some(token) = rest.strip_prefix(' ').filter(|token| is_token68(token)) else {
        return Err(malformed("write the header as `Authorization: Bearer <token>`: one space, then the token alone"));
    };
    Ok(Some(Credential::classify_lasting(token)))
}

/// The API key, as the key alone or `user:key`.
pub(super) fn api_key(headers: &HeaderMap) -> Result<Option<Credential>, Refusal> {
    let Some(value) = only(headers, &X_API_KEY, "the request carries two X-Api-Key headers")? else {
        return Ok(None);
    };
    let value = value.to_str().map_err(|_| malformed("the X-Api-Key header must be ASCII"))?;
    Ok(Some(Credential::api_key(value).unwrap_or(Credential::Unrecognised)))
}

fn only<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
    twice: &'static str,
) -> Result<Option<&'a HeaderValue>, Refusal> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(repeated(twice)),
        (value, None) => Ok(value),
    }
}

/// RFC 9110 §5.6.2: what the name of a scheme is made of.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// RFC 9110 §11.2: letters, digits and `-._~+/`, then any number of `=`.
fn is_token68(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    !body.is_empty() && body.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer_of(value: &'static str) -> Result<Option<Credential>, Refusal> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_static(value));
        bearer(&headers)
    }

    #[test]
    fn the_scheme_in_any_case_and_one_space() {
        // req C4
        for good in ["Bearer a.b.c", "bearer a.b.c", "BEARER a.b.c", "Bearer YQ=="] {
            assert!(matches!(bearer_of(good), Ok(Some(Credential::Token(_)))), "{good}");
        }
        for bad in [
            "Bearer",
            "Bearer ",
            "Bearer  a.b.c",
            "Bearer a.b.c, Bearer d.e.f",
            "Bearer a b",
            "Bearer a.b.c ",
            "Bearer =",
            "Bearer a=b",
        ] {
            assert!(bearer_of(bad).is_err(), "{bad}");
        }
        for other in ["Basic YTpi", "Digest x", "Token abc"] {
            assert_eq!(bearer_of(other), Ok(None), "{other}");
        }
    }
}
