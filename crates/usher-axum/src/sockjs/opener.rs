//! What is remembered of the request that opened a session, and asked of every later one: a session id stands in addresses and
//! logs, so it must not be all that a request needs (req B6).

use http::header::{HOST, HeaderName};
use http::{HeaderMap, HeaderValue, Method};
use parking_lot::Mutex;
use usher_auth::Permit;
use usher_auth::carriers::{Carrier, explicit, session_cookie};
use usher_auth::connection::Verification;
use usher_auth::ids::UserId;
use usher_auth::origin::RequestOrigin;
use usher_auth::refusal::{Refusal, RefusalKind};
use usher_auth::route::RouteRules;
use usher_auth::secret::HashedToken;

/// Fetch Metadata: whose page sent the request, in the browser's own word.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What a session's opener presented, as hashes.
#[derive(Debug, Default)]
pub(super) struct Bond(Mutex<Presentation>);

#[derive(Clone, Debug, Default)]
struct Presentation {
    /// The session cookie that counted.
    ambient: Option<HashedToken>,
    /// The explicit credential, and who it let in.
    explicit: Option<(HashedToken, UserId)>,
}

/// What a later request still has to prove.
#[derive(Debug)]
pub(super) enum Proof {
    /// Nothing: it brings what the opener brought.
    Given,
    /// That this other credential is good, and of that user.
    Of(Verification, UserId),
}

impl Bond {
    /// To what let somebody in: `presented` by `permit`'s holder. A session that waits is bound to nothing, whatever stale cookie its
    /// opener sent.
    pub(super) fn new(presented: Option<HashedToken>, permit: Option<&Permit>) -> Self {
        let carrier = permit.and_then(Permit::carrier);
        let ambient = presented.filter(|_| carrier == Some(Carrier::Cookie));
        let explicit = match (presented, permit, carrier) {
            (_, _, None | Some(Carrier::Cookie)) => None,
            (presented, permit, Some(_)) => presented.zip(permit.map(|permit| permit.principal().id.clone())),
        };
        Self(Mutex::new(Presentation { ambient, explicit }))
    }

    /// Nobody is in any more: whoever comes next proves themselves by a message, and whoever was in may still hear why.
    pub(super) fn forget(&self) {
        *self.0.lock() = Presentation::default();
    }

    /// A later request proved that another credential is good, and of the same user: it is recognised from now on, so that each request
    /// with a renewed token is not verified anew.
    pub(super) fn proved(&self, credential: Option<HashedToken>) {
        if let (Some((hash, _)), Some(proved)) = (&mut self.0.lock().explicit, credential) {
            *hash = proved;
        }
    }

    /// Whether a later request brings what the opener brought. The opener's cookie must come again; one that came later is what logging
    /// in beside an open session looks like, and changes nothing. An explicit credential must come again, or another of the same user.
    pub(super) fn check(&self, rules: &RouteRules, headers: &HeaderMap, query: Option<&str>) -> Result<Proof, Refusal> {
        let Presentation { ambient, explicit: bound } = self.0.lock().clone();
        let brought = explicit(headers, query)?;
        if let Some((carrier, _)) = &brought
            && !rules.carriers.contains(*carrier)
        {
            let detail = "the route's `carriers` setting does not list it";
            return Err(Refusal::new(RefusalKind::CarrierDisabled(*carrier), detail));
        }
        if let Some((hash, user)) = bound {
            return match brought {
                None => Err(other("the opener's credential is missing")),
                Some((_, credential)) if credential.fingerprint() == Some(hash) => Ok(Proof::Given),
                Some((carrier, credential)) => Ok(Proof::Of(Verification { carrier, credential }, user)),
            };
        }
        if let Some(hash) = ambient {
            let cookie = session_cookie(headers, &rules.cookie_name)?;
            let same = cookie.and_then(|cookie| cookie.fingerprint()) == Some(hash);
            return if same { Ok(Proof::Given) } else { Err(other("the session cookie is not the opener's")) };
        }
        Ok(Proof::Given)
    }
}

fn other(detail: &'static str) -> Refusal {
    Refusal::new(RefusalKind::MissingCredential, detail)
}

/// What a request says of the page it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Page {
    /// None: it is a program's.
    None,
    /// By the browser's own word one of the host that was asked, whose Origin would be this, and the route lists it.
    Own(String),
    /// One whose Origin the route lists.
    Listed,
    /// Another.
    Foreign,
}

impl Page {
    pub(super) fn of(rules: &RouteRules, method: &Method, headers: &HeaderMap) -> Self {
        let origin = RequestOrigin::of(headers);
        if origin != RequestOrigin::Absent {
            return if rules.origins.allow(origin) { Self::Listed } else { Self::Foreign };
        }
        let mut sites = headers.get_all(SEC_FETCH_SITE).iter();
        match (sites.next().map(HeaderValue::as_bytes), sites.next()) {
            (None, _) => Self::None,
            // Browsers leave the Origin out of a GET to their page's own host alone.
            (Some(b"same-origin"), None) if *method == Method::GET => own_origin(rules, headers)
                .filter(|origin| rules.origins.allow(RequestOrigin::One(origin)))
                .map_or(Self::Foreign, Self::Own),
            _ => Self::Foreign,
        }
    }
}

/// The Origin of pages of the host that was asked. A cookie with the prefix is for HTTPS alone (RFC 6265bis §4.1.3).
fn own_origin(rules: &RouteRules, headers: &HeaderMap) -> Option<String> {
    let scheme = if rules.cookie_name.starts_with("__Host-") { "https" } else { "http" };
    let host = headers.get(HOST)?.to_str().ok()?;
    Some(format!("{scheme}://{host}"))
}

/// The rules about pages that hold for every request over HTTP: one from a page that is not listed is refused, and so is a GET
/// that brings the session cookie and of which no browser says that it comes from a page of ours.
pub(super) fn check_page(rules: &RouteRules, method: &Method, headers: &HeaderMap) -> Result<Page, Refusal> {
    let forbidden = |detail| Err(Refusal::new(RefusalKind::OriginForbidden, detail));
    let page = Page::of(rules, method, headers);
    match page {
        Page::Foreign => forbidden("the page is not in the route's `origins` setting"),
        Page::None if *method == Method::GET && session_cookie(headers, &rules.cookie_name)?.is_some() => {
            forbidden("a GET with the session cookie, but without an Origin or `Sec-Fetch-Site: same-origin`")
        }
        page => Ok(page),
    }
}
