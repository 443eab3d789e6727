//! Drives usher-auth connections on axum and tokio: upgrade, first message, timers, close, and the look-ups that verification
//! needs.
//!
//! This crate refuses to know which backend remembers things (it is given an [`usher_store::Store`]) and what is behind a
//! route (it is given an [`Application`]).

mod admission;
mod admitting;
pub mod ambient;
mod application;
mod budget;
pub mod client_address;
mod door;
mod drain;
mod flusher;
pub mod hand_over;
pub mod issuer_keys;
mod library;
mod lingering;
mod live_connections;
mod mailbox;
pub mod observer;
mod orders;
mod passed_time;
mod presenter;
pub mod problem;
mod refusal_report;
mod registry;
mod revocation_list;
#[cfg(feature = "rooms")]
pub mod rooms;
mod session_memory;
mod session_state;
mod socket;
mod sockjs;
mod sync;
mod throttle;
mod token_cache;
mod upgrade;
mod verifier;
mod way;

pub use application::{ADMISSION_PATIENCE, Application, Flow, Message, Text};
pub use axum_sockjs::{ConfigError as SockJsConfigError, LetGo, PolledAnswer, StreamingAnswer};
pub use budget::{ConnectionLimits, SourceBudget, SourcePlace, WaitingLimits};
pub use client_address::{ClientAddress, TrustedProxies};
pub use door::{Door, DoorParts};
pub use drain::drain;
pub use issuer_keys::{IssuerKeys, KeyFetchLimits, KeySource};
pub use library::{
    AuthenticatedRoute, AuthenticatedUpgrade, AuthenticatedWebSocket, BuildError, HandlerOutcome, Issuer, IssuerError,
    OUTBOUND_LIMIT, RouteMarker, SocketClosed, SocketSender, Usher, UsherBuilder, WebSocketHandler,
};
pub use live_connections::{LiveConnections, PendingChange};
pub use mailbox::{ConnectionHandle, SendError};
pub use observer::Observer;
pub use orders::RouteTable;
pub use passed_time::{Passed, PassedTime};
pub use presenter::Presenter;
pub use problem::Problem;
pub use revocation_list::RevocationList;
pub use session_memory::MemoryLimits;
pub use session_state::{Applied, BegunLogIn, SessionState};
pub use sockjs::{SockJsRoute, SockJsSettings, SockJsTransports};
pub use throttle::{Attempt, AttemptRefused, FailureLimits, KNOWN_FOR, LoginLimits, Throttle};
pub use upgrade::WebSocketRoute;
pub use verifier::{CredentialVerifier, VerifierParts};

/// The example of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExample;
