//! The smallest service: says back what it hears, at `http://127.0.0.1:8081/echo`.

use std::sync::Arc;

use axum::response::Response;
use axum_sockjs::{Application, Config, Incoming, Session, SockJs, TransportRequest};

struct Echo;

impl Application for Echo {
    type Opener = ();

    async fn accept(&self, _request: &TransportRequest<'_>) -> Result<(), Response> {
        Ok(())
    }

    async fn admit(&self, _opener: &(), _request: &TransportRequest<'_>) -> Result<(), Response> {
        Ok(())
    }

    async fn run(&self, mut session: Session, _opener: Arc<()>) {
        while let Some(Incoming::Message(text)) = session.receive().await {
            if session.send(text).is_err() {
                break;
            }
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let echo = SockJs::new(Echo, Config::default())?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8081").await?;
    axum::serve(listener, echo.router("/echo")).await?;
    Ok(())
}
