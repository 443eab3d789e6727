//! The ways a credential can be presented at an upgrade, and which one counts.
//!
//! Browsers attach cookies by themselves, so the cookie is ambient; all other carriers are explicit. Exactly one explicit
//! credential counts: two are refused, never "first wins" (RFC 6750 §2, req C1). With one, the cookie and its Origin rule play no
//! part; with none, the cookie decides.

mod cookie;
mod first_message;
mod header;
mod query;
mod subprotocol;

use std::borrow::Cow;

use http::HeaderMap;

pub use first_message::{FirstMessage, InvalidFirstMessage, parse_first_message};
pub use subprotocol::{BEARER_PROTOCOL_PREFIX, negotiate as negotiate_subprotocol};

pub use crate::credential::{Carrier, CarrierSet, Credential, MAX_CREDENTIAL_BYTES};
use crate::origin::RequestOrigin;
use crate::refusal::{Refusal, RefusalKind};
use crate::route::RouteRules;

/// What an upgrade presents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presented {
    /// One credential that counts.
    Credential(Carrier, Credential),
    /// None that counts, and the refusal that follows where the route takes neither a first message nor anonymous visitors.
    Nothing(Refusal),
}

/// Which credential an upgrade request presents to a route.
///
/// Errors are refusals that no first message can mend: two explicit credentials, one whose carrier the route does not list, one
/// that is written wrongly.
pub fn present(rules: &RouteRules, headers: &HeaderMap, query: Option<&str>) -> Result<Presented, Refusal> {
    let origin = RequestOrigin::of(headers);
    present_from(rules, headers, query, origin, rules.origins.allow(origin))
}

/// The same for a request without an `Origin` of which the browser itself says that it comes from a page of ours
/// (`Sec-Fetch-Site: same-origin`): there the cookie counts as well.
pub fn present_same_origin(rules: &RouteRules, headers: &HeaderMap, query: Option<&str>) -> Result<Presented, Refusal> {
    present_from(rules, headers, query, RequestOrigin::Absent, true)
}

fn present_from(
    rules: &RouteRules,
    headers: &HeaderMap,
    query: Option<&str>,
    origin: RequestOrigin<'_>,
    may_use_cookie: bool,
) -> Result<Presented, Refusal> {
    let explicit = explicit(headers, query)?;
    if let Some((carrier, credential)) = explicit {
        if !rules.carriers.contains(carrier) {
            return Err(Refusal::new(
                RefusalKind::CarrierDisabled(carrier),
                "the route's `carriers` setting does not list it",
            ));
        }
        return Ok(Presented::Credential(carrier, credential));
    }
    if !rules.carriers.contains(Carrier::Cookie) {
        let kind = if rules.carriers.is_only(Carrier::Ticket) {
            RefusalKind::MissingTicket
        } else {
            RefusalKind::MissingCredential
        };
        return Ok(Presented::Nothing(Refusal::new(kind, "no credential was presented")));
    }
    let foreign = !may_use_cookie;
    // A page that may not use the cookie learns nothing of whether there is one, or two.
    if foreign && origin != RequestOrigin::Absent {
        let detail = "the Origin is not in the route's `origins` setting";
        return Ok(Presented::Nothing(Refusal::new(RefusalKind::OriginForbidden, detail)));
    }
    Ok(match cookie::find(headers, &rules.cookie_name)? {
        Some(_) if foreign => {
            Presented::Nothing(Refusal::new(RefusalKind::OriginForbidden, "a session cookie without an Origin header"))
        }
        None => Presented::Nothing(Refusal::new(RefusalKind::MissingCredential, "no credential was presented")),
        Some(cookie) => Presented::Credential(Carrier::Cookie, cookie),
    })
}

/// The one explicit credential of a request, if it has one.
pub fn explicit(headers: &HeaderMap, query: Option<&str>) -> Result<Option<(Carrier, Credential)>, Refusal> {
    let mut found = None;
    let candidates = [
        header::bearer(headers)?.map(|credential| (Carrier::Header, credential)),
        header::api_key(headers)?.map(|credential| (Carrier::Header, credential)),
        subprotocol::bearer(headers)?.map(|credential| (Carrier::Subprotocol, credential)),
        query::ticket(query)?.map(|credential| (Carrier::Ticket, credential)),
        query::token(query)?.map(|credential| (Carrier::Query, credential)),
    ];
    for candidate in candidates.into_iter().flatten() {
        if found.replace(candidate).is_some() {
            return Err(Refusal::new(
                RefusalKind::MultipleCredentials,
                "the request carries more than one explicit credential",
            ));
        }
    }
    Ok(found)
}

/// The one credential in a request's headers, for an HTTP API that takes neither a query nor a subprotocol.
pub fn explicit_header(headers: &HeaderMap) -> Result<Option<Credential>, Refusal> {
    match (header::bearer(headers)?, header::api_key(headers)?) {
        (Some(_), Some(_)) => Err(repeated("the request carries Authorization and X-Api-Key")),
        (bearer, api_key) => Ok(bearer.or(api_key)),
    }
}

/// The session cookie called `name`, for an HTTP API. Whether it counts depends on the Origin, which is the caller's to check.
pub fn session_cookie(headers: &HeaderMap, name: &str) -> Result<Option<Credential>, Refusal> {
    cookie::find(headers, name)
}

/// A refusal for a credential whose carrier is used wrongly.
fn malformed(detail: &'static str) -> Refusal {
    Refusal::new(RefusalKind::MalformedCredential, detail)
}

/// A refusal for two of one kind.
fn repeated(detail: impl Into<Cow<'static, str>>) -> Refusal {
    Refusal::new(RefusalKind::MultipleCredentials, detail)
}
