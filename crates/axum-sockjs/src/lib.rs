//! A SockJS server for axum: sessions that look like a WebSocket to the application and survive where a WebSocket cannot.
//!
//! This crate refuses to know who its clients are: it asks an [`Application`] about every request and keeps no credentials. Source
//! of the protocol is the head of the `sockjs/sockjs-protocol` repository; the WebSocket draft hixie-76, for which it still has a
//! test, is not supported.

pub mod codec;
pub mod session;
pub mod upgrade;

mod ambient;
mod application;
mod close;
mod config;
mod cors;
mod http;
mod path;
mod registry;
mod service;
mod transport;
mod websocket;

pub use application::{Application, OnMalformed, TransportRequest};
pub use close::{Close, Ended};
pub use config::{Config, ConfigError, Limits, Transports};
pub use cors::AllowedOrigins;
pub use http::polling::PolledAnswer;
pub use http::streaming::{LetGo, StreamingAnswer};
pub use service::SockJs;
pub use session::message::{Incoming, Malformed, Unsendable};
pub use session::{SendJsonError, Session, SessionHandle};
pub use transport::Transport;
pub use websocket::Fragments;

/// The example in the read-me is compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
