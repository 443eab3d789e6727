//! The greeting, the iframe page, and the name of a page's callback.

use std::hash::{DefaultHasher, Hash, Hasher};

use axum::response::Response;
use bytes::Bytes;
use http::header::{ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::answer;

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=UTF-8");
/// Longest name of a callback, in bytes.
const MAX_CALLBACK_BYTES: usize = 32;

pub(crate) fn greeting() -> Response {
    answer::text(StatusCode::OK, "Welcome to SockJS!\n")
}

/// The page through which old browsers reach another origin. It never changes while the service lives.
pub(crate) struct Iframe {
    page: Bytes,
    etag: HeaderValue,
}

impl Iframe {
    /// The page is given by the protocol, to the letter.
    pub(crate) fn new(sockjs_url: &str) -> Self {
        let page = format!(
            "<!DOCTYPE html>\n\
             <html>\n\
             <head>\n  \
               <meta http-equiv=\"X-UA-Compatible\" content=\"IE=edge\" />\n  \
               <meta http-equiv=\"Content-Type\" content=\"text/html; charset=UTF-8\" />\n  \
               <script src=\"{sockjs_url}\"></script>\n  \
               <script>\n    \
                 document.domain = document.domain;\n    \
                 SockJS.bootstrap_iframe();\n  \
               </script>\n\
             </head>\n\
             <body>\n  \
               <h2>Don't panic!</h2>\n  \
               <p>This is a SockJS hidden iframe. It's used for cross domain magic.</p>\n\
             </body>\n\
             </html>\n"
        );
        let mut hasher = DefaultHasher::new();
        page.hash(&mut hasher);
        let etag = format!("\"{:016x}\"", hasher.finish());
        Self { page: page.into(), etag: HeaderValue::from_str(&etag).expect("hexadecimal digits are a header value") }
    }

    pub(crate) fn answer(&self, request: &HeaderMap) -> Response {
        let mut response = if request.get(IF_NONE_MATCH) == Some(&self.etag) {
            answer::empty(StatusCode::NOT_MODIFIED)
        } else {
            answer::with_body(StatusCode::OK, HTML, self.page.clone())
        };
        let headers = response.headers_mut();
        answer::allow_storing(headers);
        headers.insert(ETAG, self.etag.clone());
        response
    }
}

/// The function that a page or script calls, from the query.
///
/// # Errors
/// With the text of the answer, when there is none or it could be more than a name.
pub(crate) fn callback(query: Option<&str>) -> Result<String, &'static str> {
    let mut pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let found = pairs.find(|(name, _)| name == "c" || name == "callback").map(|(_, value)| value.into_owned());
    match found {
        None => Err("\"callback\" parameter required\n"),
        Some(callback) if callback.is_empty() => Err("\"callback\" parameter required\n"),
        Some(callback) if is_callback(&callback) => Ok(callback),
        Some(_) => Err("invalid \"callback\" parameter\n"),
    }
}

fn is_callback(name: &str) -> bool {
    name.len() <= MAX_CALLBACK_BYTES
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callback_is_a_name_of_at_most_32_characters() {
        assert_eq!(callback(Some("t=1&c=%63allback")), Ok("callback".to_owned()));
        assert_eq!(callback(Some("callback=_jp.a-1")), Ok("_jp.a-1".to_owned()));
        assert!(callback(None).unwrap_err().contains("required"));
        assert!(callback(Some("c=")).unwrap_err().contains("required"));
        for bad in ["%20", "*", "abc(", "abc%28", "%C3%A9"] {
            assert!(callback(Some(&format!("c={bad}"))).unwrap_err().contains("invalid"), "{bad}");
        }
        assert!(callback(Some(&format!("c={}", "x".repeat(32)))).is_ok());
        assert!(callback(Some(&format!("c={}", "x".repeat(33)))).is_err());
    }
}
