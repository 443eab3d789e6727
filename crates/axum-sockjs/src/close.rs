//! Why a session is closed, as the client is told, and why it ended, as the application is told.

use std::borrow::Cow;
use std::fmt;

/// A close code and its reason, as they stand in a `c[code,"reason"]` frame and in a WebSocket close frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Close {
    /// RFC 6455 §7.4, or one of SockJS's own (2010, 3000).
    pub code: u16,
    /// For people. A WebSocket close frame carries at most its first 123 bytes.
    pub reason: Cow<'static, str>,
}

impl Close {
    /// The customary close of a server that has nothing more to say.
    pub const GO_AWAY: Self = Self::fixed(3000, "Go away!");
    /// To a second receiver, while the first is still there.
    pub const STILL_OPEN: Self = Self::fixed(2010, "Another connection still open");
    /// After a receiver broke off: what was on its way to it may be lost.
    pub const INTERRUPTED: Self = Self::fixed(1002, "Connection interrupted");
    /// After more was sent than the client fetched.
    pub const SLOW_CONSUMER: Self = Self::fixed(1008, "Too much unread");
    /// To a WebSocket whose message is not what SockJS allows.
    pub const MALFORMED: Self = Self::fixed(1007, "a message is a JSON array of strings, or one JSON string");
    /// To a WebSocket whose text is no UTF-8.
    pub const INVALID_UTF8: Self = Self::fixed(1007, "Text must be UTF-8");
    /// To a WebSocket whose message is larger than may be.
    pub const TOO_BIG: Self = Self::fixed(1009, "Message too big");
    /// To a WebSocket that breaks RFC 6455.
    pub const PROTOCOL_ERROR: Self = Self::fixed(1002, "WebSocket protocol error");
    /// To a WebSocket that sends binary messages, which SockJS does not know.
    pub const BINARY: Self = Self::fixed(1003, "Text only");

    const fn fixed(code: u16, reason: &'static str) -> Self {
        Self { code, reason: Cow::Borrowed(reason) }
    }

    /// Any code, any reason.
    pub fn new(code: u16, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { code, reason: reason.into() }
    }
}

impl fmt::Display for Close {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.code, self.reason)
    }
}

/// Why a session ended. The first reason stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The application closed it, or let go of its [`Session`](crate::Session).
    Application(Close),
    /// All sessions were closed.
    Drained(Close),
    /// The client closed its WebSocket, with this code if it gave one.
    Client(Option<u16>),
    /// The receiving connection broke, or took nothing for two heartbeats.
    Interrupted,
    /// No receiving connection came back within the disconnect delay.
    TimedOut,
    /// More was sent than the outbound queue holds.
    Overflow,
    /// The client's WebSocket message was malformed, binary or too big, or broke RFC 6455; it was closed with this.
    Malformed(Close),
}

impl Ended {
    /// For logs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Application(_) => "application",
            Self::Drained(_) => "drained",
            Self::Client(_) => "client",
            Self::Interrupted => "interrupted",
            Self::TimedOut => "timed_out",
            Self::Overflow => "overflow",
            Self::Malformed(_) => "malformed",
        }
    }
}
