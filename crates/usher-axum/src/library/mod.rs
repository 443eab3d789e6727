//! The library's face: an authenticated WebSocket in a few lines of an axum application.
//!
//! ```no_run
//! use std::net::SocketAddr;
//!
//! use axum::{Router, routing::get};
//! use usher_axum::{AuthenticatedWebSocket, Issuer, Usher};
//!
//! # async fn run(secret: Vec<u8>) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! let usher = Usher::builder().issuer(Issuer::hmac("myapp", secret)?.audience("chat")).build().await?;
//! let echo = usher.websocket(|mut socket: AuthenticatedWebSocket| async move {
//!     while let Some(message) = socket.recv().await {
//!         socket.send(message).await?;
//!     }
//!     Ok::<_, usher_axum::SocketClosed>(())
//! });
//! let app = Router::new().route("/ws", get(echo));
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//! axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
//! # Ok(()) }
//! ```
//!
//! The connection is authenticated before the handler gets it, and is closed when the credential expires, is revoked, or is not renewed in time:
//! none of it takes a line of the application's.

mod background;
mod builder;
mod extractor;
mod handler;
mod inbox;
mod issuer;
mod outcome;
mod parts;
#[cfg(feature = "rooms")]
mod rooms;
mod route;
mod socket;
mod usher;

pub use builder::{BuildError, OUTBOUND_LIMIT, UsherBuilder};
pub use extractor::AuthenticatedUpgrade;
pub use issuer::{Issuer, IssuerError};
pub use outcome::HandlerOutcome;
pub use route::{AuthenticatedRoute, RouteMarker, WebSocketHandler};
pub use socket::{AuthenticatedWebSocket, SocketClosed, SocketSender};
pub use usher::Usher;
