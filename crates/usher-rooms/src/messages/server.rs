//! Messages to clients.

use serde::Serialize;
use serde_json::value::RawValue;
use usher_auth::wire::{FrameId, UserRef};

/// What a client is told about a room.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerMessage<'a> {
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
    /// A user came.
    UserJoined {
        /// Where.
        room: &'a str,
        /// Who.
        user: UserRef<'a>,
        /// How many users are in it now.
        viewers: usize,
    },
    /// A user left.
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
    /// A user is typing.
    UserTyping {
        /// Where.
        room: &'a str,
        /// Who.
        user: UserRef<'a>,
    },
    /// A user published.
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
    /// What the client asked for was not done.
    Error {
        /// For people to read.
        error: &'a str,
        /// Stable.
        code: &'a str,
        /// What to do about it.
        #[serde(skip_serializing_if = "Option::is_none")]
        hint: Option<&'a str>,
        /// The room it is about.
        room: &'a str,
        /// Echoed.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a FrameId>,
    },
}
