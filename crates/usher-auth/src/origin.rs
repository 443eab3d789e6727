//! Which pages may use a visitor's cookie: the Origin rule (RFC 6455 §10.2, req B1–B3).
//!
//! Browsers attach cookies to a WebSocket by themselves, from any page, so a cookie counts only when the page's Origin is listed.
//! The comparison is of exact bytes: a browser writes an origin in one way only, and whoever writes it in another is not one.

use std::fmt;

use http::header::ORIGIN;
use http::{HeaderMap, HeaderValue};
use url::Url;

/// The Origins a route allows. An empty list allows none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedOrigins(Vec<Origin>);

/// One origin, as browsers serialise it: scheme, host and non-default port (RFC 6454 §6.2).
#[derive(Clone, PartialEq, Eq)]
pub struct Origin(String);

/// A configured origin that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOrigin {
    /// Would let every page use the visitor's cookie.
    #[error("a wildcard origin would let every page use its visitors' cookies: list the origins one by one")]
    Wildcard,
    /// Not `scheme://host[:port]`.
    #[error("{0:?} is not an origin: write scheme://host or scheme://host:port, without a path")]
    Malformed(String),
    /// The browser would send it in another form.
    #[error("browsers write {given:?} as {canonical:?}: use that")]
    NotCanonical {
        /// As configured.
        given: String,
        /// As browsers send it.
        canonical: String,
    },
}

/// What the `Origin` header of a request says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestOrigin<'a> {
    /// No header: not a browser.
    Absent,
    /// One header.
    One(&'a str),
    /// Several headers, or one that is not text or longer than an origin can be: it counts as no origin.
    Unusable,
}

/// Most bytes of an origin that is looked at: a host's name has at most 253 (RFC 1035 §2.3.4). What is longer would be kept for as long as its connection.
const MAX_ORIGIN_BYTES: usize = 300;

impl Origin {
    /// Checks that `text` is an origin in the form browsers send.
    pub fn parse(text: &str) -> Result<Self, InvalidOrigin> {
        if text.contains('*') {
            return Err(InvalidOrigin::Wildcard);
        }
        let malformed = || InvalidOrigin::Malformed(text.to_owned());
        let url = Url::parse(text).map_err(|_| malformed())?;
        let bare = url.path() == "/"
            && !text.ends_with('/')
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
            && url.host_str().is_some_and(|host| !host.ends_with('.'));
        if !bare || !matches!(url.scheme(), "http" | "https") {
            return Err(malformed());
        }
        let canonical = url.origin().ascii_serialization();
        if canonical == text {
            Ok(Self(canonical))
        } else {
            Err(InvalidOrigin::NotCanonical { given: text.to_owned(), canonical })
        }
    }

    /// The origin of a URL of ours.
    pub fn of(url: &Url) -> Self {
        Self(url.origin().ascii_serialization())
    }

    /// As browsers send it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Origin({})", self.0)
    }
}

impl AllowedOrigins {
    /// These and no others.
    pub fn new(origins: Vec<Origin>) -> Self {
        Self(origins)
    }

    /// Whether a page of `origin` may use its visitor's cookie. An absent Origin may not: browsers always send one (req B2).
    pub fn allow(&self, origin: RequestOrigin<'_>) -> bool {
        match origin {
            RequestOrigin::One(origin) => self.0.iter().any(|allowed| allowed.0 == origin),
            RequestOrigin::Absent | RequestOrigin::Unusable => false,
        }
    }

    /// The list.
    pub fn iter(&self) -> impl Iterator<Item = &Origin> {
        self.0.iter()
    }
}

impl<'a> RequestOrigin<'a> {
    /// From the `Origin` header and nothing else (req B3).
    pub fn of(headers: &'a HeaderMap) -> Self {
        let mut values = headers.get_all(ORIGIN).iter();
        match (values.next().map(HeaderValue::to_str), values.next()) {
            (None, _) => Self::Absent,
            (Some(Ok(origin)), None) if origin.len() <= MAX_ORIGIN_BYTES => Self::One(origin),
            _ => Self::Unusable,
        }
    }

    /// The origin, if there is exactly one.
    pub fn as_str(self) -> Option<&'a str> {
        match self {
            Self::One(origin) => Some(origin),
            Self::Absent | Self::Unusable => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_origin_is_allowed() {
        // req B1, CVE-2023-2886, CVE-2023-30856
        let allowed = AllowedOrigins::new(vec![Origin::parse("https://app.example.com").expect("an origin")]);
        assert!(allowed.allow(RequestOrigin::One("https://app.example.com")));
        for other in [
            "https://evil.example",
            "https://app.example.com.evil.com",
            "https://evilapp.example.com",
            "http://app.example.com",
            "https://app.example.com:8443",
            "null",
            "https://APP.example.com",
            "https://app.example.com.",
            "https://app.example.com@evil.com",
            "https://app.example.com/",
            "",
        ] {
            assert!(!allowed.allow(RequestOrigin::One(other)), "{other}");
        }
        assert!(!allowed.allow(RequestOrigin::Absent));
        assert!(!AllowedOrigins::default().allow(RequestOrigin::One("https://app.example.com")));
    }

    #[test]
    fn two_origins_are_none() {
        // req B1
        let mut headers = HeaderMap::new();
        headers.append(ORIGIN, HeaderValue::from_static("https://a.example"));
        assert_eq!(RequestOrigin::of(&headers), RequestOrigin::One("https://a.example"));
        headers.append(ORIGIN, HeaderValue::from_static("https://a.example"));
        assert_eq!(RequestOrigin::of(&headers), RequestOrigin::Unusable);
    }

    #[test]
    fn what_is_longer_than_an_origin_can_be_is_none() {
        // req A7: it would be kept for as long as its connection.
        let longest = format!("https://{}", "a".repeat(MAX_ORIGIN_BYTES - "https://".len()));
        for (text, usable) in [(longest.clone(), true), (longest + "a", false)] {
            let headers = HeaderMap::from_iter([(ORIGIN, HeaderValue::from_str(&text).expect("a value"))]);
            let expected = if usable { RequestOrigin::One(&text) } else { RequestOrigin::Unusable };
            assert_eq!(RequestOrigin::of(&headers), expected);
        }
    }

    #[test]
    fn configured_origins_are_checked() {
        // req O5
        assert_eq!(Origin::parse("*"), Err(InvalidOrigin::Wildcard));
        assert_eq!(Origin::parse("https://*.example.com"), Err(InvalidOrigin::Wildcard));
        assert!(
            matches!(Origin::parse("https://Example.com"), Err(InvalidOrigin::NotCanonical { canonical, .. }) if canonical == "https://example.com")
        );
        assert!(matches!(Origin::parse("https://example.com:443"), Err(InvalidOrigin::NotCanonical { .. })));
        for bad in [
            "example.com",
            "https://example.com/",
            "https://example.com/x",
            "ftp://example.com",
            "null",
            "",
            "https://u@example.com",
        ] {
            assert!(Origin::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Origin::parse("http://[::1]:8080").expect("an origin").as_str(), "http://[::1]:8080");
    }
}
