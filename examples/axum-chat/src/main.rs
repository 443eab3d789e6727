//! Rooms for the users of an application: join, leave, typing, messages, and who is there. Run it with the secret of the application's HS256 tokens:
//!
//!     JWT_SECRET=$(openssl rand -hex 32) cargo run -p axum-chat
//!
//! Clients speak `usher.v1` (docs/protocol/websocket.md). Every user may join `lobby-…`; `staff-…` is for those whose token has the role `staff`.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use axum::{Router, routing::get};
use tokio::net::TcpListener;
use usher_auth::ids::Role;
use usher_auth::room::{Right, RoomPattern, RoomPolicy, RoomRule};
use usher_axum::{Issuer, Usher};
use usher_rooms::{RoomLimits, Rooms};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().init();
    let issuer = Issuer::hmac("myapp", std::env::var("JWT_SECRET")?)?.audience("chat").roles_claim("roles");
    let usher = Usher::builder().issuer(issuer).build().await?;
    let policy = RoomPolicy::new(vec![
        RoomRule::new(RoomPattern::parse("lobby-*")?, vec![Right::Any]),
        RoomRule::new(RoomPattern::parse("staff-*")?, vec![Right::Role(Role::new("staff")?)]),
    ]);
    let rooms = Rooms::new(policy, RoomLimits::default());
    let app = Router::new().route("/ws", get(usher.rooms(&rooms)));
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(address).await?;
    tracing::info!("listening on {}", listener.local_addr()?);
    tokio::select! {
        served = axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()) => served?,
        // Clients are told to come back, and do when the program runs again.
        _ = tokio::signal::ctrl_c() => usher.drain(Duration::from_secs(5)).await,
    }
    Ok(())
}
