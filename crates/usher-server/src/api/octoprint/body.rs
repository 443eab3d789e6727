//! The body of a log-in: JSON, or the form that OctoPrint's command line sends.

use std::fmt;

use axum::extract::{FromRequest, Request};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde::de::{Error, IgnoredAny, Visitor};
use serde::{Deserialize, Deserializer};
use usher_auth::Refusal;
use usher_auth::origin::RequestOrigin;
use usher_auth::refusal::RefusalKind;
use usher_axum::Problem;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::super::json;

/// What a log-in asks for: a user and a password, or `passive` for whoever the request's credential says it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LoginBody {
    /// The user's id.
    user: Option<String>,
    /// The password, exactly as it was set.
    #[schema(value_type = Option<String>)]
    pass: Option<Zeroizing<String>>,
    /// Accepted, and without effect: a session lasts as long as the server says.
    #[serde(default)]
    #[schema(value_type = bool)]
    #[expect(dead_code, reason = "without effect, whatever it is")]
    remember: IgnoredAny,
    /// Ask who the request's credential belongs to.
    #[serde(default, deserialize_with = "truth")]
    #[schema(value_type = bool)]
    passive: bool,
}

/// What a log-in asks for, told apart.
pub(super) enum Login {
    /// With a password.
    Password {
        /// The user's id.
        user: String,
        /// The password.
        pass: Zeroizing<String>,
    },
    /// With what the request brings.
    Passive,
}

impl<S: Send + Sync> FromRequest<S> for Login {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let headers = request.headers().clone();
        let body: Option<LoginBody> = if is_form(&headers) {
            if is_cross_site(&headers) {
                return Err(Problem::from(&Refusal::new(RefusalKind::OriginForbidden, "a form of another site")));
            }
            let bytes = json::bytes(request).await?;
            // As with JSON: the parser's own words may quote a password.
            let read = serde_urlencoded::from_bytes(&bytes);
            Some(read.map_err(|_| {
                json::bad_body("the form has a field that is missing, unknown, given twice or of the wrong type")
            })?)
        } else {
            json::OptionalJson::from_request(request, &()).await?.0
        };
        let neither = || Err(json::bad_body("send `user` and `pass`, or `passive` with a credential in the headers"));
        let Some(LoginBody { user, pass, passive, .. }) = body else { return neither() };
        match (user, pass, passive) {
            (Some(user), Some(pass), false) => Ok(Self::Password { user, pass }),
            (None, None, true) => Ok(Self::Passive),
            _ => neither(),
        }
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"))
}

/// Whether another site's page sent it. Any page may send a form without asking first, so that the content type, which guards
/// JSON, guards nothing here: a browser that leaves the Origin out must not be believed for that (req B4, B5).
fn is_cross_site(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(http::HeaderValue::as_bytes);
    RequestOrigin::of(headers) == RequestOrigin::Absent
        && site.is_some_and(|site| !matches!(site, b"same-origin" | b"none"))
}

/// A boolean as OctoPrint's clients write it: in JSON as such, in forms as a word or a number.
fn truth<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    struct Truth;

    impl Visitor<'_> for Truth {
        type Value = bool;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("true or false")
        }

        fn visit_bool<E: Error>(self, value: bool) -> Result<bool, E> {
            Ok(value)
        }

        fn visit_u64<E: Error>(self, value: u64) -> Result<bool, E> {
            match value {
                0 => Ok(false),
                1 => Ok(true),
                _ => Err(E::custom("neither 0 nor 1")),
            }
        }

        fn visit_str<E: Error>(self, value: &str) -> Result<bool, E> {
            match value.to_ascii_lowercase().as_str() {
                "true" | "yes" | "y" | "1" => Ok(true),
                "false" | "no" | "n" | "0" | "" => Ok(false),
                _ => Err(E::custom("neither true nor false")),
            }
        }
    }

    deserializer.deserialize_any(Truth)
}

/// A body that says nothing: none, or an empty object.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}
