//! What is said about rooms over a connection: JSON text of `usher.v1`. The contract is docs/protocol/websocket.md.

mod client;
mod server;

pub use client::RoomMessage;
pub(crate) use server::ServerMessage;
