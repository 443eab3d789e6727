//! The `usher.v1` wire types: JSON text frames, in their own modules and converted at the rim. The contract is docs/protocol/websocket.md.

mod client;
mod frame;
pub mod octoprint;
mod server;

pub use crate::mistake::{Mistake, shape};
pub use client::{Envelope, FrameId, InvalidFrame, MAX_JSON_DEPTH, string};
pub use frame::{Frame, Payload};
pub use server::{ServerMessage, UserRef};
