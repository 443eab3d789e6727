//! Who may do what in which room: names, patterns, rights, and the permit that joining returns.
//!
//! Deny by default: a room no rule matches is nobody's. The first rule whose pattern matches decides; later ones are not asked.

mod name;
mod pattern;
mod policy;
mod right;

pub use name::{InvalidRoomName, MAX_ROOM_NAME_BYTES, RoomName};
pub use pattern::{InvalidPattern, RoomPattern};
pub use policy::{Explanation, OnForbidden, Presence, RoomAction, RoomDenied, RoomPermit, RoomPolicy, RoomRule};
pub use right::{InvalidRight, Right};
