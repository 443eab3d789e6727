//! Frames a server sends.

use serde::Serialize;
use serde_json::value::RawValue;

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
        /// Rooms a renewal lost.
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        rooms_lost: &'a [&'a str],
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
    /// The sender is in a room.
    Joined {
        /// Which.
        room: &'a str,
        /// How many users are in it.
        #[serde(skip_serializing_if = "Option::is_none")]
        viewers: Option<usize>,
        /// At most 100 of them.
        #[serde(skip_serializing_if = "Option::is_none")]
        members: Option<&'a [UserRef<'a>]>,
        /// Echoed.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a FrameId>,
    },
    /// The sender is out of a room.
    Left {
        /// Which.
        room: &'a str,
        /// Echoed.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a FrameId>,
    },
    /// Rights to rooms were withdrawn.
    RoomsLost {
        /// Which rooms.
        rooms: &'a [&'a str],
        /// Why.
        reason: &'a str,
    },
    /// Somebody came.
    UserJoined {
        /// Where.
        room: &'a str,
        /// Who.
        user: UserRef<'a>,
        /// How many users are in it now.
        viewers: usize,
    },
    /// Somebody went.
    UserLeft {
        /// Where.
        room: &'a str,
        /// Who.
        user: UserRef<'a>,
        /// How many users are in it now.
        viewers: usize,
    },
    /// The number of users in a room changed. From here on the receiver's list of members is out of date, unless this brings
    /// a new one.
    Viewers {
        /// Where.
        room: &'a str,
        /// How many users are in it now.
        viewers: usize,
        /// All of them, where coming and going is shown one by one again.
        #[serde(skip_serializing_if = "Option::is_none")]
        members: Option<&'a [UserRef<'a>]>,
    },
    /// Somebody is typing.
    UserTyping {
        /// Where.
        room: &'a str,
        /// Who.
        user: UserRef<'a>,
    },
    /// Somebody published.
    Message {
        /// Where.
        room: &'a str,
        /// Who.
        user: UserRef<'a>,
        /// What, as it came.
        data: &'a RawValue,
    },
    /// The sender's message went out.
    Published {
        /// Echoed.
        id: &'a FrameId,
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
        /// The room it is about.
        #[serde(skip_serializing_if = "Option::is_none")]
        room: Option<&'a str>,
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
