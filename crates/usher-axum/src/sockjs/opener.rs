//! What is remembered of the request that opened a session, and asked of every later one: a session id stands in addresses and
//! logs, so it must not be all that a request needs (req B6).

use http::header::HeaderName;
use http::{HeaderMap, HeaderValue, Method};
use parking_lot::Mutex;
use usher_auth::carriers::{Credential, Presented, explicit, session_cookie};
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
    explicit: Option<(HashedToken, Option<UserId>)>,
}

/// What a later request still has to prove.
#[derive(Debug)]
pub(super) enum Proof {
    /// Nothing: it brings what the opener brought.
    Given,
    /// That this other credential is good, and of that user.
    Of(Credential, UserId),
}

impl Bond {
    /// From what the opener presented, and who it is.
    pub(super) fn new(presented: &Result<Presented, Refusal>) -> Self {
        let mut presentation = Presentation::default();
        match presented {
            Ok(Presented::Credential(_, credential @ Credential::Session(_))) => {
                presentation.ambient = credential.fingerprint();
            }
            Ok(Presented::Credential(_, credential)) => {
                presentation.explicit = credential.fingerprint().map(|hash| (hash, None));
            }
            Ok(Presented::Nothing(_)) | Err(_) => {}
        }
        Self(Mutex::new(presentation))
    }

    /// Who the explicit credential let in.
    pub(super) fn is_of(&self, user: &UserId) {
        if let Some((_, of)) = &mut self.0.lock().explicit {
            *of = Some(user.clone());
        }
    }

    /// Nobody is in any more: whoever comes next proves themselves by a message.
    pub(super) fn forget(&self) {
        *self.0.lock() = Presentation::default();
    }

    /// Whether a later request brings what the opener brought. The opener's cookie must come again; one that came later is what logging
    /// in beside an open session looks like, and changes nothing. An explicit credential must come again, or another of the same user.
    pub(super) fn check(&self, rules: &RouteRules, headers: &HeaderMap, query: Option<&str>) -> Result<Proof, Refusal> {
        let Presentation { ambient, explicit: bound } = self.0.lock().clone();
        let brought = explicit(headers, query)?;
        if let Some((hash, user)) = bound {
            let Some((_, credential)) = brought else { return Err(other("the opener's credential is missing")) };
            return match user {
                _ if credential.fingerprint() == Some(hash) => Ok(Proof::Given),
                Some(user) => Ok(Proof::Of(credential, user)),
                None => Err(other("the credential is not the opener's")),
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    /// None: it is a program's.
    None,
    /// One of ours, by the browser's own word.
    Own,
    /// One whose Origin the route lists.
    Listed,
    /// Another.
    Foreign,
}

impl Page {
    pub(super) fn of(rules: &RouteRules, headers: &HeaderMap) -> Self {
        match RequestOrigin::of(headers) {
            RequestOrigin::Absent => {
                let mut sites = headers.get_all(SEC_FETCH_SITE).iter();
                match (sites.next().map(HeaderValue::as_bytes), sites.next()) {
                    (None, _) => Self::None,
                    (Some(b"same-origin"), None) => Self::Own,
                    _ => Self::Foreign,
                }
            }
            origin if rules.origins.allow(origin) => Self::Listed,
            _ => Self::Foreign,
        }
    }
}

/// The rules about pages that hold for every request over HTTP: one from a page that is not listed is refused, and so is a GET
/// that brings the session cookie and of which no browser says that it comes from a page of ours.
pub(super) fn check_page(rules: &RouteRules, method: &Method, headers: &HeaderMap) -> Result<Page, Refusal> {
    let forbidden = |detail| Err(Refusal::new(RefusalKind::OriginForbidden, detail));
    let page = Page::of(rules, headers);
    match page {
        Page::Foreign => forbidden("the page is not in the route's `origins` setting"),
        Page::None if *method == Method::GET && session_cookie(headers, &rules.cookie_name)?.is_some() => {
            forbidden("a GET with the session cookie, but without an Origin or `Sec-Fetch-Site: same-origin`")
        }
        page => Ok(page),
    }
}
