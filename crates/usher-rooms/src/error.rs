//! Why something was not done in a room, and the frame that says so.

use usher_auth::close_code::CloseCause;
use usher_auth::room::{OnForbidden, RoomAction, RoomName};
use usher_auth::wire::{Frame, FrameId};

use crate::messages::ServerMessage;

/// Why a connection's wish in a room was not met. Its text is for the log; the peer gets [`RoomError::frame`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RoomError {
    /// The policy gives no right to it, or the room has no rule.
    #[error("no right to {} {room}", verb(*.action))]
    Forbidden {
        /// Where.
        room: RoomName,
        /// To do what.
        action: RoomAction,
        /// What follows.
        on_forbidden: OnForbidden,
    },
    /// Leaving, publishing and typing need a join first.
    #[error("{room} was not joined")]
    NotJoined {
        /// Where.
        room: RoomName,
    },
    /// The connection is in as many rooms as it may be.
    #[error("{room} would be one more than the {limit} rooms a connection may be in")]
    TooManyRooms {
        /// The room that was one too many.
        room: RoomName,
        /// The limit that was reached.
        limit: usize,
    },
}

impl RoomError {
    /// The room it is about.
    pub fn room(&self) -> &RoomName {
        match self {
            Self::Forbidden { room, .. } | Self::NotJoined { room } | Self::TooManyRooms { room, .. } => room,
        }
    }

    /// The stable code on the wire.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Forbidden { .. } => "forbidden",
            Self::NotJoined { .. } => "not_joined",
            Self::TooManyRooms { .. } => "too_many_rooms",
        }
    }

    /// Why the connection must end, if the room's rule says that it does.
    pub fn close_cause(&self) -> Option<CloseCause> {
        match self {
            Self::Forbidden { on_forbidden: OnForbidden::Close, .. } => Some(CloseCause::Forbidden),
            _ => None,
        }
    }

    /// The `error` frame for the peer.
    pub fn frame(&self, id: Option<&FrameId>) -> Frame {
        let (error, hint) = match self {
            Self::Forbidden { .. } => ("Forbidden", None),
            Self::NotJoined { .. } => ("Not joined", Some("join the room first")),
            Self::TooManyRooms { .. } => ("Too many rooms", Some("leave another room first")),
        };
        Frame::json(&ServerMessage::Error { error, code: self.code(), hint, room: self.room().as_str(), id })
    }
}

fn verb(action: RoomAction) -> &'static str {
    match action {
        RoomAction::Join => "join",
        RoomAction::Publish => "publish in",
        RoomAction::Typing => "show typing in",
    }
}
