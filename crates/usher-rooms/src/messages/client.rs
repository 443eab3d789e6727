//! Messages of clients.

use serde_json::value::RawValue;
use usher_auth::room::RoomName;
use usher_auth::wire::{Envelope, FrameId, InvalidFrame, string};

/// What a client asks for in a room. What it publishes is passed on as it came.
#[derive(Clone, Debug)]
pub enum RoomMessage<'a> {
    /// Enter a room.
    Join {
        /// Which.
        room: RoomName,
        /// To be echoed.
        id: Option<FrameId>,
    },
    /// Leave a room.
    Leave {
        /// Which.
        room: RoomName,
        /// To be echoed.
        id: Option<FrameId>,
    },
    /// Tell the others in a room that the user is typing.
    Typing {
        /// Which.
        room: RoomName,
        /// To be echoed in an error.
        id: Option<FrameId>,
    },
    /// Send to the others in a room.
    Publish {
        /// Which.
        room: RoomName,
        /// What.
        data: &'a RawValue,
        /// To be echoed.
        id: Option<FrameId>,
    },
}

impl<'a> RoomMessage<'a> {
    /// Reads a message. Unknown members are ignored.
    ///
    /// # Errors
    /// What is wrong with it, and its `id` if that could be read.
    pub fn parse(text: &'a str) -> Result<Self, InvalidFrame> {
        let Envelope { kind, id, members: [room, board_id, data] } =
            Envelope::parse(text, ["room", "boardId", "data"])?;
        let named = || room_name(room, board_id);
        let message = match kind.as_ref() {
            "join" => named().map(|room| Self::Join { room, id: id.clone() }),
            "leave" => named().map(|room| Self::Leave { room, id: id.clone() }),
            "typing" => named().map(|room| Self::Typing { room, id: id.clone() }),
            "publish" => match data {
                Some(data) => named().map(|room| Self::Publish { room, data, id: id.clone() }),
                None => Err(InvalidFrame::field("data", "present")),
            },
            _ => Err(InvalidFrame::new(
                "unknown message type: use auth, join, leave, typing, publish or ping",
                "unknown_type",
            )),
        };
        message.map_err(|invalid| InvalidFrame { id, ..invalid })
    }
}

fn room_name(room: Option<&RawValue>, board_id: Option<&RawValue>) -> Result<RoomName, InvalidFrame> {
    let (name, raw) = match (room, board_id) {
        (Some(raw), None) => ("room", raw),
        (None, Some(raw)) => ("boardId", raw),
        (Some(_), Some(_)) => return Err(InvalidFrame::new("give `room` or `boardId`, not both", "invalid_field")),
        (None, None) => return Err(InvalidFrame::new("field `room` is missing", "invalid_field")),
    };
    let text = string(raw).ok_or_else(|| InvalidFrame::field(name, "a string"))?;
    RoomName::canonical(&text).map_err(|error| InvalidFrame::new(format!("field `{name}`: {error}"), "invalid_room"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_mistake_has_its_answer() {
        // S7
        for (text, expected) in [
            (r#"{"type":"join","room":"a"}"#, "ok"),
            (r#"{"type":"typing","boardId":"a"}"#, "ok"),
            (r#"{"type":"join","room":"a","unknown":[1,{}]}"#, "ok"),
            (r#"{"type":"publish","room":"a","data":null}"#, "ok"),
            (r#"{"type":"publish","room":"a"}"#, "invalid_field"),
            (r#"{"type":"join"}"#, "invalid_field"),
            (r#"{"type":"join","room":7}"#, "invalid_field"),
            (r#"{"type":"join","room":"a","boardId":"b"}"#, "invalid_field"),
            (r#"{"type":"join","room":""}"#, "invalid_room"),
            (r#"{"type":"join","room":"a","room":"b"}"#, "invalid_message"),
            (r#"{"type":"join","type":"auth","room":"a"}"#, "invalid_message"),
            (r#"{"type":7}"#, "invalid_field"),
            (r#"{"type":"fly"}"#, "unknown_type"),
            (r#"{"room":"a"}"#, "invalid_field"),
            ("[]", "invalid_message"),
            ("7", "invalid_message"),
            ("{", "invalid_json"),
        ] {
            assert_eq!(RoomMessage::parse(text).map_or_else(|error| error.code, |_| "ok"), expected, "{text}");
        }
        let invalid = RoomMessage::parse(r#"{"id":"q1","type":"fly"}"#).expect_err("unknown type");
        assert_eq!(invalid.id, Some(FrameId::Text("q1".into())));
        let Ok(RoomMessage::Publish { data, .. }) =
            RoomMessage::parse(r#"{"type":"publish","room":"a","data":{"x": [1,  2]}}"#)
        else {
            panic!("it is good")
        };
        assert_eq!(data.get(), r#"{"x": [1,  2]}"#, "as it came");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".*") {
            let _ = RoomMessage::parse(&text);
        }
    }
}
