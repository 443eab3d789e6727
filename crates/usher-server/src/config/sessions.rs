//! `[sessions]`: log-ins and their cookie.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use usher_auth::session::SessionLimits;

use super::resolver::Resolver;
use super::server::ServerSettings;
use super::units::TimeSpan;
use crate::cookies::CookieSettings;

/// Log-ins, and the cookie that browsers keep of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sessions {
    /// A session ends when it has not been used for this long.
    pub idle: TimeSpan,
    /// A session ends this long after its log-in, however much it is used.
    pub absolute: TimeSpan,
    /// The session cookie. It is always HttpOnly, and Secure but on plain HTTP loopback.
    pub cookie: SessionCookie,
}

/// The session cookie.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SessionCookie {
    /// Which requests of other sites bring the cookie.
    pub same_site: SameSite,
}

/// Which requests of other sites bring the cookie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SameSite {
    /// Only links that are followed.
    #[default]
    Lax,
    /// None.
    Strict,
    /// All: for pages of another site that embed ours. Each route that takes the cookie must then list its origins.
    None,
}

/// `[sessions]`, resolved.
#[derive(Clone, Debug)]
pub struct SessionSettings {
    /// How long sessions last.
    pub limits: SessionLimits,
    /// How the cookie looks.
    pub cookie: CookieSettings,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            idle: TimeSpan(SessionLimits::default().idle),
            absolute: TimeSpan(SessionLimits::default().absolute),
            cookie: SessionCookie::default(),
        }
    }
}

impl Sessions {
    pub(super) fn resolve(
        &self,
        server: Option<&ServerSettings>,
        resolver: &mut Resolver<'_>,
    ) -> Option<SessionSettings> {
        let idle = resolver.span("sessions.idle", self.idle, None);
        let absolute = resolver.span("sessions.absolute", self.absolute, None);
        if idle > absolute {
            let reason = format!(
                "{} is longer than sessions.absolute ({}), and would never be reached",
                self.idle, self.absolute
            );
            resolver.problem("sessions.idle", reason, "make it shorter, or sessions.absolute longer");
        }
        let https = server?.is_https();
        if self.cookie.same_site == SameSite::None && !https {
            resolver.problem(
                "sessions.cookie.same_site",
                "browsers drop a cookie with SameSite=None that is not Secure, and over plain HTTP it cannot be",
                "serve HTTPS (server.public_url = \"https://…\"), or write \"lax\"",
            );
        }
        let same_site = match self.cookie.same_site {
            SameSite::Lax => cookie::SameSite::Lax,
            SameSite::Strict => cookie::SameSite::Strict,
            SameSite::None => cookie::SameSite::None,
        };
        Some(SessionSettings {
            limits: SessionLimits { idle, absolute },
            cookie: CookieSettings { name: cookie_name(https).to_owned(), secure: https, same_site },
        })
    }
}

/// `__Host-` ties a cookie to this very host over HTTPS (RFC 6265bis §4.1.3.2, req J3); browsers refuse it over plain HTTP, which
/// only loopback may use.
pub(super) fn cookie_name(https: bool) -> &'static str {
    if https { "__Host-usher" } else { "usher" }
}
