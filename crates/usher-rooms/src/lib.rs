//! Rooms: who is in them, what their members see of each other, and how one frame reaches all of them.
//!
//! This crate refuses to know how a frame reaches its peer, what time it is and where other nodes are: a connection brings a
//! [`Receiver`], whoever owns [`Rooms`] brings the time to [`Rooms::flush`], and what other nodes must hear goes to a [`Bus`].
//!
//! # What a room promises
//!
//! - **One order.** A room has one lock, and it is held while its frames are delivered, so that all members see joins, leaves and
//!   messages in the same order. This is cheap because [`Receiver::deliver`] only puts a frame into a bounded queue; it must not
//!   block and must not call back into this crate. Two rooms share no lock that is held while anything is delivered.
//! - **Users, not sockets.** `viewers` and `members` count users: a second tab announces nothing, and neither does closing it.
//!   A `message` goes to every connection in the room but the one that published it, so that the sender's other tabs show it too.
//!   `user_typing` goes to no connection of the one who types: nobody wants to read in one tab that they type in another.
//! - **Complete lists are kept current, long ones are not kept at all.** Up to [`RoomLimits::members_listed`] users, `joined` names all
//!   of them and coming and going is told one by one. Past that there is one `viewers` update a second with the number alone. When a
//!   room has shrunk again, the next update brings the list along and one by one goes on from there.
//! - **No trace.** A room exists while somebody is in it. An [`Attendance`] is a guard: dropping it leaves every room, whatever
//!   ended the connection.
//! - **Rights hold now.** Joining asks the policy; publishing and typing ask what the policy said, and ask again if the policy was
//!   replaced since ([`Rooms::set_policy`]). A new permit ([`Attendance::renew`]) and a new policy ([`Attendance::recheck`]) end
//!   the attendance of rooms whose right is gone, at once.
//!
//! ```
//! use std::sync::{Arc, Mutex};
//! use std::time::Duration;
//!
//! use usher_auth::ids::ConnectionId;
//! use usher_auth::room::{OnForbidden, Presence, Right, RoomPattern, RoomPolicy, RoomRule};
//! use usher_auth::wire::Frame;
//! use usher_auth::test_util::visitor;
//! use usher_auth::{Now, UnixTime};
//! use usher_rooms::{Receiver, RoomLimits, RoomMessage, Rooms};
//!
//! #[derive(Default)]
//! struct Outbox(Mutex<Vec<Frame>>);
//!
//! impl Receiver for Outbox {
//!     fn deliver(&self, frame: &Frame) {
//!         self.0.lock().unwrap().push(frame.clone());
//!     }
//! }
//!
//! let policy = RoomPolicy::new(vec![RoomRule {
//!     pattern: RoomPattern::parse("board-*")?,
//!     join: vec![Right::Anonymous],
//!     publish: vec![],
//!     typing: vec![],
//!     presence: Presence::Count,
//!     on_forbidden: OnForbidden::Error,
//! }]);
//! let rooms = Rooms::new(policy, RoomLimits::default());
//!
//! let now = Now { monotonic: Duration::ZERO, unix: UnixTime::from_seconds(1_760_000_000) };
//! let connection = ConnectionId::from_random([0; 16]);
//! let outbox = Arc::<Outbox>::default();
//! let mut attendance = rooms.attach(&visitor(connection, now), connection, outbox.clone());
//! attendance.handle(&RoomMessage::parse(r#"{"type":"join","room":"board-1"}"#).unwrap())?;
//! assert_eq!(outbox.0.lock().unwrap()[0].text(), r#"{"type":"joined","room":"board-1","viewers":1}"#);
//!
//! drop(attendance);
//! assert_eq!(rooms.room_count(), 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod rooms;

mod attendance;
mod error;
mod limits;
mod member;
mod messages;
mod receiver;

mod bus;
mod delivery;
pub mod record;

mod members;
mod registry;
mod room;
mod schedule;

pub use attendance::Attendance;
pub use bus::{Bus, Except, InProcessBus, RoomEvent};
pub use delivery::LocalDelivery;
pub use error::RoomError;
pub use limits::RoomLimits;
pub use member::{LocalMember, Member};
pub use messages::RoomMessage;
pub use receiver::Receiver;
pub use rooms::Rooms;
pub use usher_auth::ids::NodeId;

/// The example of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExample;
