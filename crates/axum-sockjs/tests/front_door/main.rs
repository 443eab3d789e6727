//! The service through its front door: real requests over loopback, read as bytes where the boundaries of chunks matter.

#![expect(clippy::unwrap_used, reason = "a test fails where it is")]

mod application;
mod clock;
mod jsonp;
mod limits;
mod pages;
mod polling;
mod streaming;
mod websocket;

mod client;
mod world;
