//! The session cookie as it is set and cleared (RFC 6265bis §4.1.3; req J3).

use cookie::{Cookie, SameSite};
use http::HeaderValue;
use usher_auth::secret::PlainToken;

/// How the session cookie looks.
#[derive(Clone, Debug)]
pub struct CookieSettings {
    /// `__Host-usher`, or `usher` over plain HTTP on loopback.
    pub name: String,
    /// Whether browsers send it over HTTPS alone: always but on loopback.
    pub secure: bool,
    /// Whether other sites' requests bring it.
    pub same_site: SameSite,
}

impl CookieSettings {
    /// `Set-Cookie` for a new session. It has no `Max-Age`: the server decides when a session ends, and a browser that closes ends
    /// it sooner.
    pub fn set(&self, secret: &PlainToken) -> HeaderValue {
        let mut value = self.header(secret.reveal(), None);
        value.set_sensitive(true);
        value
    }

    /// `Set-Cookie` that removes it.
    pub fn clear(&self) -> HeaderValue {
        self.header("", Some(cookie::time::Duration::ZERO))
    }

    fn header(&self, value: &str, max_age: Option<cookie::time::Duration>) -> HeaderValue {
        let mut cookie = Cookie::build((self.name.as_str(), value))
            .path("/")
            .http_only(true)
            .secure(self.secure)
            .same_site(self.same_site)
            .build();
        if let Some(max_age) = max_age {
            cookie.set_max_age(max_age);
        }
        HeaderValue::from_str(&cookie.to_string()).expect("a cookie of ours is a header value")
    }
}
