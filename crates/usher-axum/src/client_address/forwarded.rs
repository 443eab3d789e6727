//! What proxies write into a request about the client behind them, read from the right.
//!
//! Whatever stands to the left may come from the client and may hold any bytes. So nothing to the left of an entry takes part in
//! reading it: not an unbalanced quote, not a byte beyond ASCII, not another header line.

use std::net::{IpAddr, Ipv6Addr};

use http::header::FORWARDED;
use http::{HeaderMap, HeaderName, HeaderValue};

/// The header in which trusted proxies name the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`: a list to which each proxy appends an address.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239): a list to which each proxy appends `for=…`.
    Forwarded,
    /// `X-Real-IP`: one address, set by the proxy.
    XRealIp,
    /// `CF-Connecting-IP`: one address, set by Cloudflare.
    CfConnectingIp,
}

impl ForwardedHeader {
    fn name(self) -> HeaderName {
        match self {
            Self::XForwardedFor => HeaderName::from_static("x-forwarded-for"),
            Self::Forwarded => FORWARDED,
            Self::XRealIp => HeaderName::from_static("x-real-ip"),
            Self::CfConnectingIp => HeaderName::from_static("cf-connecting-ip"),
        }
    }
}

/// One entry of the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// The address that the proxy saw.
    Address(IpAddr),
    /// The proxy wrote something that names no address: `unknown`, an obfuscated identifier, or junk.
    Unreadable,
}

/// The entries of `header`, the last one first. Several header lines are one list. The iterator is lazy: what is never asked for is
/// never looked at.
pub(super) fn entries(header: ForwardedHeader, headers: &HeaderMap) -> Box<dyn Iterator<Item = Entry> + '_> {
    let lines = headers.get_all(header.name()).iter().map(HeaderValue::as_bytes);
    match header {
        ForwardedHeader::XForwardedFor => {
            let items = lines.rev().flat_map(|line| line.rsplit(|byte| *byte == b','));
            Box::new(items.map(|item| address(trim(item)).map_or(Entry::Unreadable, Entry::Address)))
        }
        ForwardedHeader::Forwarded => Box::new(lines.rev().flat_map(|line| Elements { rest: Some(line) })),
        ForwardedHeader::XRealIp | ForwardedHeader::CfConnectingIp => Box::new(single(lines).into_iter()),
    }
}

/// The value of a header that is set, not appended to. Given twice, one of them may be the client's own: neither is believed.
fn single<'a>(mut lines: impl Iterator<Item = &'a [u8]>) -> Option<Entry> {
    let line = lines.next()?;
    let alone = lines.next().is_none();
    Some(address(trim(line)).filter(|_| alone).map_or(Entry::Unreadable, Entry::Address))
}

/// The elements of one line of `Forwarded`, the last one first.
struct Elements<'a> {
    /// What has not been read yet; `None` at the end.
    rest: Option<&'a [u8]>,
}

impl Iterator for Elements<'_> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        let rest = self.rest.take()?;
        let Some((before, element)) = last_part(rest, b',') else { return Some(Entry::Unreadable) };
        self.rest = before;
        Some(forwarded_for(element).map_or(Entry::Unreadable, Entry::Address))
    }
}

/// The address of an element's one `for` parameter.
fn forwarded_for(element: &[u8]) -> Option<IpAddr> {
    let (mut rest, mut found) = (Some(element), None);
    while let Some(text) = rest {
        let (before, pair) = last_part(text, b';')?;
        rest = before;
        // The grammar has room for empty ones.
        if trim(pair).is_empty() {
            continue;
        }
        let equals = pair.iter().position(|byte| *byte == b'=')?;
        if trim(&pair[..equals]).eq_ignore_ascii_case(b"for") {
            let value = trim(&pair[equals + 1..]);
            let value = value.strip_prefix(b"\"").map_or(Some(value), |value| value.strip_suffix(b"\""))?;
            if found.replace(address(value)?).is_some() {
                return None;
            }
        }
    }
    found
}

/// Cuts `text` at its last `separator` that is not in a quoted string (RFC 9110 §5.6.4): what stands before it, if there is one, and
/// what stands after it. `None` if the quotes after it do not match.
fn last_part(text: &[u8], separator: u8) -> Option<(Option<&[u8]>, &[u8])> {
    let mut quoted = false;
    for (index, byte) in text.iter().enumerate().rev() {
        if *byte == b'"' {
            let escaped = text[..index].iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1;
            match (quoted, escaped) {
                (true, true) => {}
                (false, true) => return None,
                (_, false) => quoted = !quoted,
            }
        } else if *byte == separator && !quoted {
            return Some((Some(&text[..index]), &text[index + 1..]));
        }
    }
    (!quoted).then_some((None, text))
}

/// An address as proxies write it: `192.0.2.1`, `192.0.2.1:1234`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:443`.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let address = if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        port_follows(port)?;
        IpAddr::V6(address.parse::<Ipv6Addr>().ok()?)
    } else if let Ok(address) = text.parse::<IpAddr>() {
        address
    } else {
        let (address, port) = text.split_once(':')?;
        is_port(port)?;
        IpAddr::V4(address.parse().ok()?)
    };
    // An IPv4 address written as IPv6 is an IPv4 address.
    Some(address.to_canonical())
}

fn port_follows(text: &str) -> Option<()> {
    if text.is_empty() { Some(()) } else { is_port(text.strip_prefix(':')?) }
}

/// A number, or one that the proxy keeps for itself (RFC 7239 §6.2).
fn is_port(text: &str) -> Option<()> {
    let number = text.len() <= 5 && text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok();
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let obfuscated = text.len() > 1 && text.starts_with('_') && text.bytes().all(allowed);
    (number || obfuscated).then_some(())
}

/// Without the whitespace that a list may have around its items (RFC 9110 §5.6.3).
fn trim(text: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = text.iter().position(|byte| !is_space(byte)).unwrap_or(text.len());
    let end = text.iter().rposition(|byte| !is_space(byte)).map_or(start, |last| last + 1);
    &text[start..end]
}
