//! SockJS sessions as connections: the same door, state machine and handlers as a plain WebSocket, over SockJS's transports.

mod opener;
mod route;
mod session_transport;

pub use route::{SockJsRoute, SockJsSettings, SockJsTransports};
