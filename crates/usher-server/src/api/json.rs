//! JSON request bodies, with problems for answers: 415 without the content type, 400 for what is wrong in the body, 408
//! for one that does not come.
//!
//! The content type is part of the protection against cross-site requests: a form cannot send `application/json` (req B5).

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use http::header::{CONNECTION, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use serde::de::DeserializeOwned;
use usher_axum::Problem;

use crate::listener::SlowBody;

/// A body of type `T`.
pub(super) struct Json<T>(pub(super) T);

/// A body of type `T`, or none at all.
pub(super) struct OptionalJson<T>(pub(super) Option<T>);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match OptionalJson::from_request(request, state).await? {
            OptionalJson(Some(value)) => Ok(Self(value)),
            OptionalJson(None) => Err(bad_body("the request needs a JSON body")),
        }
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for OptionalJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let is_json = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(is_json);
        let bytes = bytes(request).await?;
        if bytes.is_empty() {
            return Ok(Self(None));
        }
        if !is_json {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "Unsupported media type",
            )
            .with_detail("send the body as application/json"));
        }
        // serde would also take an array for a struct, field by field.
        if bytes.trim_ascii_start().first() != Some(&b'{') {
            return Err(bad_body("the body must be a JSON object"));
        }
        // The parser's own words name the field and what was expected of it, but may quote what was sent: a password. So only
        // its kind and its place are passed on.
        serde_json::from_slice(&bytes).map(|value| Self(Some(value))).map_err(|error| {
            let place = format!("line {}, column {}", error.line(), error.column());
            match error.classify() {
                serde_json::error::Category::Data => bad_body(format!(
                    "the JSON has a field that is missing, unknown, given twice or of the wrong type ({place})"
                )),
                _ => bad_body(format!("the body is not valid JSON ({place})")),
            }
        })
    }
}

fn is_json(content_type: &str) -> bool {
    content_type.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// A body as it came.
pub(super) async fn bytes(request: Request) -> Result<Bytes, Problem> {
    Bytes::from_request(request, &()).await.map_err(|rejection| {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "Body too large")
        } else if SlowBody::is_cause_of(&rejection) {
            Problem::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", "Request timeout")
                .with_detail("the body did not come in time")
                .with_header(CONNECTION, HeaderValue::from_static("close"))
        } else {
            bad_body("the body could not be read")
        }
    })
}

/// 400, with what is wrong in the body. Nothing of the body itself may be in `detail`.
pub(super) fn bad_body(detail: impl Into<std::borrow::Cow<'static, str>>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad_request", "Bad request").with_detail(detail)
}
