//! The form that every HTTP request must have, whatever it asks for: checked before anything else looks at it.
//!
//! hyper has answered 400 already to what it cannot frame: a transfer coding list that does not end with `chunked`, a transfer coding
//! in HTTP/1.0, lengths that differ. What it lets pass and RFC 9112 does not is refused here. Two servers in a row that understand
//! such a request differently are what request smuggling and cache poisoning live on (req A9).

use axum::response::{IntoResponse as _, Response};
use http::header::{CONNECTION, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Request, StatusCode, Version};
use usher_axum::Problem;

/// What is wrong with the form of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum MalformedRequest {
    /// HTTP/1.1 without `Host`.
    #[error("an HTTP/1.1 request must have a Host header")]
    NoHost,
    /// More than one line of `Host`.
    #[error("the request has more than one Host header")]
    ManyHosts,
    /// A `Host` that is no host with an optional port.
    #[error("the Host header is not a host with an optional port")]
    BadHost,
    /// A transfer coding that we do not have.
    #[error("`chunked` is the only transfer coding that this server understands")]
    TransferCoding,
    /// `chunked` before the end of the list.
    #[error("`chunked` must be the last transfer coding, and stand there once")]
    ChunkedNotLast,
}

impl MalformedRequest {
    fn problem(self) -> Problem {
        let problem = match self {
            Self::TransferCoding => {
                Problem::new(StatusCode::NOT_IMPLEMENTED, "transfer_coding", "Transfer coding not implemented")
            }
            _ => Problem::new(StatusCode::BAD_REQUEST, "malformed_request", "Malformed request"),
        };
        problem.with_detail(self.to_string())
    }

    /// The answer. What follows on the connection cannot be trusted to be a request, so it is the last one.
    pub(super) fn answer(self) -> Response {
        self.problem().with_header(CONNECTION, HeaderValue::from_static("close")).into_response()
    }
}

/// Checks `Host` (RFC 9112 §3.2) and `Transfer-Encoding` (§6.1, §6.3).
pub(super) fn check<B>(request: &Request<B>) -> Result<(), MalformedRequest> {
    check_host(request.version(), request.headers())?;
    check_transfer_coding(request.headers())
}

fn check_host(version: Version, headers: &HeaderMap) -> Result<(), MalformedRequest> {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(_), Some(_)) => Err(MalformedRequest::ManyHosts),
        (Some(host), None) if is_host(host.as_bytes()) => Ok(()),
        (Some(_), None) => Err(MalformedRequest::BadHost),
        // HTTP/1.0 had none.
        (None, _) if version == Version::HTTP_10 => Ok(()),
        (None, _) => Err(MalformedRequest::NoHost),
    }
}

/// `uri-host [ ":" port ]` (RFC 9110 §7.2). The URIs that we are asked for are http or https, whose host is not empty (§4.2.1).
fn is_host(value: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(value) else { return false };
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let Some((address, port)) = rest.split_once(']') else { return false };
            if address.parse::<std::net::Ipv6Addr>().is_err() {
                return false;
            }
            (None, port)
        }
        None => {
            let end = text.find(':').unwrap_or(text.len());
            (Some(&text[..end]), &text[end..])
        }
    };
    let is_port =
        |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && (port.is_empty() || port.parse::<u16>().is_ok());
    host.is_none_or(is_registered_name) && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
}

/// `reg-name`, which an IPv4 address is, too (RFC 3986 §3.2.2).
fn is_registered_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte);
    let is_escape =
        |index: usize| bytes.get(index + 1..index + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    let is_allowed = |(index, byte): (usize, &u8)| is_plain(*byte) || (*byte == b'%' && is_escape(index));
    !bytes.is_empty() && bytes.iter().enumerate().all(is_allowed)
}

fn check_transfer_coding(headers: &HeaderMap) -> Result<(), MalformedRequest> {
    let lines = headers.get_all(TRANSFER_ENCODING).iter();
    let codings = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
    let mut codings = codings.filter(|coding| !coding.is_empty()).peekable();
    while let Some(coding) = codings.next() {
        let last = codings.peek().is_none();
        match (coding.eq_ignore_ascii_case(b"chunked"), last) {
            (true, true) => {}
            (true, false) => return Err(MalformedRequest::ChunkedNotLast),
            (false, _) => return Err(MalformedRequest::TransferCoding),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: http::HeaderName, lines: &[&'static [u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(&name, HeaderValue::from_bytes(line).expect("a header's value"));
        }
        headers
    }

    #[test]
    fn hosts() {
        // req A9, RFC 9112 §3.2
        let check = |lines: &[&'static [u8]]| check_host(Version::HTTP_11, &with(HOST, lines));
        for good in [
            &b"example.com"[..],
            b"example.com:8080",
            b"127.0.0.1:80",
            b"[::1]",
            b"[::1]:80",
            b"[::ffff:192.0.2.1]:443",
            b"a",
            b"my_host.local.",
            b"xn--bcher-kva.example",
            b"example.com:",
            b"ex%41mple.com",
        ] {
            assert_eq!(check(&[good]), Ok(()), "{}", String::from_utf8_lossy(good));
        }
        for bad in [
            &b""[..],
            b"a b",
            b"a/b",
            b"http://a",
            b"user@a",
            b"a:b",
            b"a:80:90",
            b"a:65536",
            b"a:-1",
            b"::1",
            b"[::1",
            b"[::1]80",
            b"[a]",
            b"[fe80::1%25eth0]",
            b"b\xfccher.example",
            b"a\\b",
            b"a?b",
            b"a#b",
            b"a%4",
            b"a%zz",
            b"a, b",
            b"\"a\"",
            b":80",
        ] {
            assert_eq!(check(&[bad]), Err(MalformedRequest::BadHost), "{}", String::from_utf8_lossy(bad));
        }
        assert_eq!(check(&[b"a", b"a"]), Err(MalformedRequest::ManyHosts));
        assert_eq!(check(&[]), Err(MalformedRequest::NoHost));
        assert_eq!(check_host(Version::HTTP_10, &HeaderMap::new()), Ok(()));
        assert_eq!(check_host(Version::HTTP_10, &with(HOST, &[b"a b"])), Err(MalformedRequest::BadHost));
    }

    #[test]
    fn transfer_codings() {
        // req A9, RFC 9112 §6.1, §6.3
        let check = |lines: &[&'static [u8]]| check_transfer_coding(&with(TRANSFER_ENCODING, lines));
        assert_eq!(check(&[]), Ok(()));
        for good in [&b"chunked"[..], b"CHUNKED", b" , chunked ,"] {
            assert_eq!(check(&[good]), Ok(()), "{good:?}");
        }
        for unknown in [
            &b"gzip, chunked"[..],
            b"gzip,\tchunked",
            b"identity, chunked",
            b"xchunked",
            b"chunked;q=1",
            b"\xff, chunked",
        ] {
            assert_eq!(check(&[unknown]), Err(MalformedRequest::TransferCoding), "{unknown:?}");
        }
        assert_eq!(check(&[b"gzip", b"chunked"]), Err(MalformedRequest::TransferCoding));
        for not_last in [&b"chunked, chunked"[..], b"chunked, gzip", b"chunked, identity"] {
            assert_eq!(check(&[not_last]), Err(MalformedRequest::ChunkedNotLast), "{not_last:?}");
        }
        assert_eq!(check(&[b"chunked", b"chunked"]), Err(MalformedRequest::ChunkedNotLast));
    }
}
