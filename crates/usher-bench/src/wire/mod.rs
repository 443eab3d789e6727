//! The client's end of a WebSocket, as cheap as it can be: the generator shares the machine with what it measures.

mod frames;
mod handshake;
mod socket;

pub(crate) use frames::{Frame, masked_ping, masked_text};
pub(crate) use handshake::Handshake;
pub(crate) use socket::Socket;
