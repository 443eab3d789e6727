//! Messages that a connection sends by itself, whatever the application is.

use serde::Serialize;
use serde_json::{Map, Value};

use super::FrameId;
use crate::close_code::Reconnect;
use crate::ids::ConnectionId;
use crate::permit::Principal;

/// A user as the others see them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct UserRef<'a> {
    /// Unique.
    pub id: &'a str,
    /// For people to read.
    pub name: &'a str,
}

impl<'a> From<&'a Principal> for UserRef<'a> {
    fn from(principal: &'a Principal) -> Self {
        Self { id: principal.id.as_str(), name: &principal.name }
    }
}

/// A frame from the server. Times are Unix seconds.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerMessage<'a> {
    /// The sender is let in, or their credential was renewed.
    Authenticated {
        /// Who they are.
        user: UserRef<'a>,
        /// This connection's id.
        #[serde(serialize_with = "as_text")]
        connection: ConnectionId,
        /// How they presented the credential; `null` for anonymous visitors.
        carrier: Option<&'a str>,
        /// When it ends; `null` is never.
        expires_at: Option<i64>,
        /// What the application adds.
        #[serde(flatten)]
        answer: &'a Map<String, Value>,
        /// Echoed.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a FrameId>,
    },
    /// The credential ends soon.
    ReauthRequired {
        /// When it ends.
        expires_at: i64,
        /// When a new one must have come.
        deadline: i64,
    },
    /// Answer to a ping.
    Pong {
        /// Echoed.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a FrameId>,
    },
    /// Something the client sent was wrong.
    Error {
        /// For people to read.
        error: &'a str,
        /// Stable.
        code: &'a str,
        /// What to do about it.
        #[serde(skip_serializing_if = "Option::is_none")]
        hint: Option<&'a str>,
        /// Echoed.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a FrameId>,
    },
    /// Something the client sent was taken for what it means, and should be written otherwise.
    Notice {
        /// For people to read.
        notice: &'a str,
        /// Stable.
        code: &'a str,
    },
    /// The server is about to close.
    Bye {
        /// The close code that follows.
        code: u16,
        /// The close reason that follows.
        reason: &'a str,
        /// Whether to come back.
        reconnect: Reconnect,
        /// Not before that many milliseconds.
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    },
}

fn as_text<S: serde::Serializer>(id: &ConnectionId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}
