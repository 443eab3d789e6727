//! An authenticated WebSocket that echoes. Run it with the secret of your application's HS256 tokens:
//!
//!     JWT_SECRET=$(openssl rand -hex 32) cargo run -p axum-echo
//!
//! A token needs `iss` "myapp", `aud` "chat", `sub`, `iat` and `exp`. It is presented in `Authorization: Bearer …`, or in a first message
//! `{"type":"auth","token":"…"}`. When it expires the connection is closed with 4002.

use std::net::SocketAddr;

use axum::{Router, routing::get};
use tokio::net::TcpListener;
use usher_axum::{AuthenticatedWebSocket, Issuer, SocketClosed, Usher};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().init();
    let secret = std::env::var("JWT_SECRET")?;
    let usher = Usher::builder().issuer(Issuer::hmac("myapp", secret)?.audience("chat")).build().await?;
    let echo = usher.websocket(|mut socket: AuthenticatedWebSocket| async move {
        while let Some(message) = socket.recv().await {
            socket.send(message).await?;
        }
        Ok::<_, SocketClosed>(())
    });
    let app = Router::new().route("/ws", get(echo));
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(address).await?;
    tracing::info!("listening on {}", listener.local_addr()?);
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}
