//! For tests only: a server on port 0, actors who log in and connect, and a client that reads frames.
//!
//! Nothing here waits on the wall clock for something to have happened: a `ping` answered by its `pong` says that everything
//! before it is done. Helpers that reach past the front door are called `db_*`.

#![expect(clippy::missing_panics_doc, reason = "everything here panics when a test does not go as it should")]

mod barrier_store;
pub mod binary_application;
mod client;
mod clock;
mod mint;
mod raw;
mod server;
mod settings;
mod sockjs;

pub use barrier_store::{Barrier, BarrierStore};
pub use client::{Closed, Refused, TestClient, TestReceiver, TestSender, Upgrade};
pub use clock::TestClock;
pub use mint::{Claims, Mint};
pub use raw::{RawResponse, raw_request};
pub use server::{LoggedIn, TestServer, TestServerBuilder};
pub use settings::{route, settings, sockjs};
pub use sockjs::SockJsClient;
