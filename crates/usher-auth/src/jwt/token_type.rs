//! What kind of token this is, by its own word: an access token, or something that only looks like one (RFC 8725 §3.11, req F11).

use serde_json::Value;

use super::claims::Claims;
use super::compact::Header;
use super::issuer::TokenProfile;

/// `typ` of an access token after RFC 9068 §2.1. Media types do not depend on case (RFC 7515 §4.1.9).
const ACCESS_TOKEN_TYPES: [&str; 2] = ["at+jwt", "application/at+jwt"];
/// `typ` of a token that does not say its kind.
const PLAIN_TYPES: [&str; 2] = ["JWT", "application/jwt"];
/// Claims by which issuers that leave `typ` at `JWT` tell their kinds of token apart.
const KIND_CLAIMS: [&str; 3] = ["typ", "token_use", "token_type"];
/// What those claims say of an access token. Anything else is another kind: a refresh token, an ID token, a password reset.
const ACCESS_KINDS: [&str; 6] = ["Bearer", "access", "access_token", "JWT", "at+jwt", "application/at+jwt"];
/// The claim `type` is used for this too, but also for much else: only what it is known to say of other kinds is refused.
const OTHER_KINDS: [&str; 8] =
    ["refresh", "refresh_token", "offline", "id", "id_token", "logout", "logout_token", "reset"];
/// Claims that only other kinds of token have: ID tokens (OpenID Connect Core §3.1.3.6, §3.3.2.11), logout tokens and security
/// events (RFC 8417 §2.2), DPoP proofs (RFC 9449 §4.2).
const FOREIGN_CLAIMS: [&str; 6] = ["at_hash", "c_hash", "s_hash", "events", "htm", "htu"];

/// A token of another kind than an access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TypeError {
    /// The header's `typ` is not one that the issuer's profile takes.
    #[error("the token's `typ` is not that of an access token")]
    HeaderType,
    /// A claim that says what the token is for says something else.
    #[error("the claim `{0}` says that this is no access token")]
    KindClaim(&'static str),
    /// A claim that only other kinds of token have.
    #[error("the claim `{0}` belongs to another kind of token")]
    ForeignClaim(&'static str),
    /// `cnf`: the token is good only together with a proof of possession (RFC 7800), which a bearer cannot give.
    #[error("the token is bound to a key, and is none that a mere bearer may use")]
    Bound,
}

/// Checks that a token of an issuer with `profile` is an access token.
pub(super) fn check(header: &Header, claims: &Claims, profile: TokenProfile) -> Result<(), TypeError> {
    let one_of = |types: &[&str], text: &str| types.iter().any(|known| known.eq_ignore_ascii_case(text));
    let header_ok = match (&header.token_type, profile) {
        (Some(text), TokenProfile::AccessToken) => one_of(&ACCESS_TOKEN_TYPES, text),
        (Some(text), TokenProfile::Plain) => one_of(&ACCESS_TOKEN_TYPES, text) || one_of(&PLAIN_TYPES, text),
        (None, TokenProfile::AccessToken) => false,
        (None, TokenProfile::Plain) => true,
    };
    if !header_ok {
        return Err(TypeError::HeaderType);
    }
    if claims.member("cnf").is_some() {
        return Err(TypeError::Bound);
    }
    if let Some(foreign) = FOREIGN_CLAIMS.into_iter().find(|name| claims.member(name).is_some()) {
        return Err(TypeError::ForeignClaim(foreign));
    }
    for name in KIND_CLAIMS {
        match claims.member(name) {
            None => {}
            Some(Value::String(kind)) if one_of(&ACCESS_KINDS, kind) => {}
            Some(_) => return Err(TypeError::KindClaim(name)),
        }
    }
    match claims.member("type").and_then(Value::as_str) {
        Some(kind) if one_of(&OTHER_KINDS, kind) => Err(TypeError::KindClaim("type")),
        _ => Ok(()),
    }
}
