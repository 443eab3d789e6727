//! What nodes tell each other, as versioned JSON: for a [`crate::Bus`] that crosses processes.
//!
//! Which room and which node an event belongs to is for the bus to write around it: [`usher_auth::room::RoomName`] and
//! [`crate::NodeId`] have text forms. A frame stands in its event byte by byte as it was encoded. What is read is checked like any other
//! input, and gives no rights: an event shows frames and members to connections that are in the room already.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use usher_auth::ids::{ConnectionId, UserId};
use usher_auth::record::{self, RecordError};
use usher_auth::wire::Frame;

use crate::{Except, Member, RoomEvent};

/// The version that is written, and the only one that is read.
const VERSION: u64 = 1;

/// A frame that is not JSON text, which no room says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the frame is not JSON text")]
pub struct NotJson;

/// An event, to be read by [`event_from_json`] on another node.
pub fn event_to_json(event: &RoomEvent) -> Result<String, NotJson> {
    Ok(record::write(VERSION, &EventFields::try_from(event)?))
}

/// The event that [`event_to_json`] wrote.
pub fn event_from_json(text: &str) -> Result<RoomEvent, RecordError> {
    record::read::<EventFields>(VERSION, text)?.try_into()
}

/// The members of a node, to be read by [`members_from_json`] on another node.
pub fn members_to_json(members: &[Member]) -> String {
    record::write(VERSION, &members.iter().map(MemberFields::from).collect::<Vec<_>>())
}

/// The members that [`members_to_json`] wrote.
pub fn members_from_json(text: &str) -> Result<Vec<Member>, RecordError> {
    let members = record::read::<Vec<MemberFields>>(VERSION, text)?;
    Ok(members.into_iter().map(Member::from).collect())
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum EventFields {
    Said { frame: Box<RawValue>, except: ExceptFields },
    Arrived { member: MemberFields },
    Departed { user: UserId },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MemberFields {
    id: UserId,
    name: Arc<str>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ExceptFields {
    #[serde(rename = "none")]
    Nobody,
    Connection(String),
    User(UserId),
}

impl TryFrom<&RoomEvent> for EventFields {
    type Error = NotJson;
    fn try_from(event: &RoomEvent) -> Result<Self, NotJson> {
        Ok(match event {
            RoomEvent::Said { frame, except } => Self::Said {
                frame: RawValue::from_string(frame.text().to_owned()).map_err(|_| NotJson)?,
                except: except.into(),
            },
            RoomEvent::Arrived(member) => Self::Arrived { member: member.into() },
            RoomEvent::Departed(user) => Self::Departed { user: user.clone() },
        })
    }
}

impl TryFrom<EventFields> for RoomEvent {
    type Error = RecordError;
    fn try_from(fields: EventFields) -> Result<Self, RecordError> {
        Ok(match fields {
            EventFields::Said { frame, except } => {
                Self::Said { frame: Frame::json(&frame), except: except.try_into()? }
            }
            EventFields::Arrived { member } => Self::Arrived(member.into()),
            EventFields::Departed { user } => Self::Departed(user),
        })
    }
}

impl From<&Member> for MemberFields {
    fn from(member: &Member) -> Self {
        Self { id: member.id.clone(), name: member.name.clone() }
    }
}

impl From<MemberFields> for Member {
    fn from(fields: MemberFields) -> Self {
        Self { id: fields.id, name: fields.name }
    }
}

impl From<&Except> for ExceptFields {
    fn from(except: &Except) -> Self {
        match except {
            Except::Nobody => Self::Nobody,
            Except::Connection(connection) => Self::Connection(connection.to_string()),
            Except::User(user) => Self::User(user.clone()),
        }
    }
}

impl TryFrom<ExceptFields> for Except {
    type Error = RecordError;
    fn try_from(fields: ExceptFields) -> Result<Self, RecordError> {
        Ok(match fields {
            ExceptFields::Nobody => Self::Nobody,
            ExceptFields::Connection(connection) => {
                let connection: ConnectionId = connection.parse().map_err(|_| RecordError::Malformed { column: 0 })?;
                Self::Connection(connection)
            }
            ExceptFields::User(user) => Self::User(user),
        })
    }
}
