//! The `usher.v1` wire types: JSON text frames, in their own modules and converted at the rim. The contract is docs/protocol.md.

mod client;
mod frame;
pub mod octoprint;
mod server;
mod sockjs;

pub use client::{ClientMessage, FrameId, InvalidFrame, MAX_JSON_DEPTH, PublishData};
pub use frame::{Frame, Wrapping};
pub use server::{ServerMessage, UserRef};
pub use sockjs::{Mistake, SockJsMessage, parse_sockjs, shape};
