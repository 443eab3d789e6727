//! S13: the library from its front door, as an application of its own has it, without usher-server: axum's `serve`, its `ConnectInfo`, real sockets.

mod echo;
mod end;
mod world;
