//! The client's end of a connection, a WebSocket or a SockJS stream, as cheap as it can be: the generator shares the machine with what it measures.

mod frames;
mod handshake;
mod lines;
mod socket;

pub(crate) use frames::{Frame, masked_ping, masked_text};
pub(crate) use handshake::{Handshake, Transport};
pub(crate) use socket::Socket;
