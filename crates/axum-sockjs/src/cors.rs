//! Cross-origin headers: whose pages may read our answers.

use std::fmt;
use std::sync::Arc;

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue};

/// Whose pages may read our answers, and bring their cookies. It decides about headers alone: whether a request is served is the
/// application's to say, which sees each one.
#[derive(Clone)]
pub enum AllowedOrigins {
    /// Everybody's. Only for services where nothing hangs on a cookie or on the network's shape.
    Any,
    /// These, each as a browser writes it: `https://example.org`, or `null`.
    List(Vec<String>),
    /// Those for which it says so.
    Where(Arc<dyn Fn(&str) -> bool + Send + Sync>),
}

impl AllowedOrigins {
    /// Whether a request with this `Origin` header is from one of these.
    pub fn allows(&self, origin: &str) -> bool {
        match self {
            Self::Any => true,
            Self::List(list) => list.iter().any(|allowed| allowed == origin),
            Self::Where(allows) => allows(origin),
        }
    }

    /// Adds to `answer` what lets the page behind `request` read it: its origin echoed, `null` as well, with credentials; or `*`
    /// without, if the request names no origin and any is allowed.
    pub(crate) fn apply(&self, request: &HeaderMap, answer: &mut HeaderMap) {
        // Answers differ by origin, so a cache must not give one's to another.
        answer.append(VARY, HeaderValue::from_static("Origin"));
        match request.get(ORIGIN) {
            Some(origin) if origin.to_str().is_ok_and(|origin| self.allows(origin)) => {
                answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
                answer.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            }
            None if matches!(self, Self::Any) => {
                answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            }
            Some(_) | None => {}
        }
    }

    /// Adds what answers a preflight request as well.
    pub(crate) fn apply_preflight(&self, methods: &'static str, request: &HeaderMap, answer: &mut HeaderMap) {
        self.apply(request, answer);
        answer.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
        answer.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("31536000"));
        if let Some(headers) = request.get(ACCESS_CONTROL_REQUEST_HEADERS).filter(|headers| !headers.is_empty()) {
            answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, headers.clone());
        }
    }
}

impl fmt::Debug for AllowedOrigins {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => formatter.write_str("Any"),
            Self::List(list) => formatter.debug_tuple("List").field(list).finish(),
            Self::Where(_) => formatter.write_str("Where(…)"),
        }
    }
}
