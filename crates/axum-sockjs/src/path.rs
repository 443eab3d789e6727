//! What an address under the base means.

use std::fmt;
use std::sync::Arc;

use crate::Transport;

/// Longest session id, in bytes as they stand in the address. A longer one is 404.
const MAX_SESSION_ID_BYTES: usize = 128;

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Greeting,
    Info,
    Iframe,
    RawWebsocket,
    Session(SessionId, Transport),
}

/// The secret by which a client names its session. It is never shown.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct SessionId(Arc<str>);

impl fmt::Debug for SessionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SessionId(…)")
    }
}

/// What stands at `path`, of which the base has been taken off; `None` if nothing does.
pub(crate) fn place(path: &str) -> Option<Place> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let mut segments = path.split('/');
    let place = match (segments.next()?, segments.next(), segments.next(), segments.next()) {
        ("", None, ..) => Place::Greeting,
        ("info", None, ..) => Place::Info,
        ("websocket", None, ..) => Place::RawWebsocket,
        (page, None, ..) if is_iframe(page) => Place::Iframe,
        // The server's part is for load balancers alone.
        (server, Some(session), Some(transport), None) if is_name(server) && is_name(session) => {
            let transport = Transport::of_segment(transport)?;
            Place::Session(SessionId(session.into()), transport)
        }
        _ => return None,
    };
    Some(place)
}

/// No part of a session's address is empty or holds a dot or a slash, also in disguise.
fn is_name(segment: &str) -> bool {
    let lower = segment.to_ascii_lowercase();
    let holds = |what: &str| lower.contains(what);
    !segment.is_empty() && segment.len() <= MAX_SESSION_ID_BYTES && !holds(".") && !holds("%2e") && !holds("%2f")
}

fn is_iframe(page: &str) -> bool {
    let version = page.strip_prefix("iframe").and_then(|rest| rest.strip_suffix(".html"));
    version.is_some_and(|version| version.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(id: &str, transport: Transport) -> Place {
        Place::Session(SessionId(id.into()), transport)
    }

    #[test]
    fn places() {
        assert_eq!(place("/"), Some(Place::Greeting));
        assert_eq!(place(""), Some(Place::Greeting));
        assert_eq!(place("/info"), Some(Place::Info));
        assert_eq!(place("/websocket"), Some(Place::RawWebsocket));
        assert_eq!(place("/iframe.html"), Some(Place::Iframe));
        assert_eq!(place("/iframe-0.1.2abc-dirty.2144.html"), Some(Place::Iframe));
        assert_eq!(place("/000/abc/xhr"), Some(session("abc", Transport::Xhr)));
    }

    #[test]
    fn the_server_id_is_ignored() {
        assert_eq!(place("/000/abc/xhr_send"), place("/999/abc/xhr_send"));
    }

    #[test]
    fn segments_are_not_empty_and_hold_no_dot_and_no_slash() {
        for path in ["//", "///xhr", "/a./a/xhr", "/a/a./xhr", "/././xhr", "//a/xhr", "/a//xhr", "/a/b/c/xhr"] {
            assert_eq!(place(path), None, "{path}");
        }
        for path in ["/a/a%2e/xhr", "/a%2Fb/c/xhr", "/a/b/xhr/", "/a/b/nothing", "/a/b", "/a"] {
            assert_eq!(place(path), None, "{path}");
        }
        assert_eq!(place("/j%20/j%20/xhr"), Some(session("j%20", Transport::Xhr)));
        let longest = "x".repeat(MAX_SESSION_ID_BYTES);
        assert_eq!(place(&format!("/a/{longest}/xhr")), Some(session(&longest, Transport::Xhr)));
        assert_eq!(place(&format!("/a/{longest}x/xhr")), None);
    }

    #[test]
    fn pages_that_are_no_iframe() {
        for path in ["/iframe.htm", "/iframe", "/IFRAME.HTML", "/iframe.HTML", "/iframe.xml", "/iframe-/.html"] {
            assert_eq!(place(path), None, "{path}");
        }
    }

    #[test]
    fn a_session_id_is_not_shown() {
        assert!(!format!("{:?}", place("/0/hunter2/xhr")).contains("hunter2"));
    }
}
