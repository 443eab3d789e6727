//! The services that the protocol's own test suite wants.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use axum_sockjs::{Application, Close, Config, Incoming, Session, SessionHandle, SockJs, TransportRequest};
use tokio::sync::broadcast;

/// What the suite wants instead of 128 KiB.
const RESPONSE_BYTES: usize = 4096;
/// `/amplify` answers at most 2 to this many bytes.
const MAX_DOUBLINGS: u32 = 19;
/// Messages of `/broadcast` that a session may be behind; a slower one misses some.
const BACKLOG: usize = 64;

/// All of them, each at its address.
pub fn services() -> Result<Router, axum_sockjs::ConfigError> {
    let mut disabled = config();
    disabled.transports.websocket = false;
    let cookies = Config { cookie_needed: true, ..config() };
    let broadcast = Service::Broadcast(broadcast::Sender::new(BACKLOG));
    Ok(Router::new()
        .merge(SockJs::new(Service::Echo, config())?.router("/echo"))
        .merge(SockJs::new(Service::Echo, disabled)?.router("/disabled_websocket_echo"))
        .merge(SockJs::new(Service::Echo, cookies)?.router("/cookie_needed_echo"))
        .merge(SockJs::new(Service::Close, config())?.router("/close"))
        .merge(SockJs::new(Service::Ticker, config())?.router("/ticker"))
        .merge(SockJs::new(Service::Amplify, config())?.router("/amplify"))
        .merge(SockJs::new(broadcast, config())?.router("/broadcast")))
}

fn config() -> Config {
    let mut config = Config::default();
    config.transports.jsonp = true;
    config.limits.response_bytes = RESPONSE_BYTES;
    config
}

/// What a service does with its sessions.
enum Service {
    Echo,
    Close,
    Ticker,
    Amplify,
    Broadcast(broadcast::Sender<String>),
}

impl Application for Service {
    type Opener = ();

    async fn accept(&self, _request: &TransportRequest<'_>) -> Result<(), Response> {
        Ok(())
    }

    async fn admit(&self, _opener: &(), _request: &TransportRequest<'_>) -> Result<(), Response> {
        Ok(())
    }

    async fn run(&self, session: Session, _opener: Arc<()>) {
        match self {
            Self::Close => session.close(Close::GO_AWAY),
            Self::Echo => answer(session, |text| text).await,
            Self::Amplify => answer(session, |text| "x".repeat(1 << doublings(&text))).await,
            Self::Ticker => tick(&session).await,
            Self::Broadcast(all) => {
                tokio::spawn(listen(session.handle(), all.subscribe()));
                share(session, all).await;
            }
        }
    }
}

async fn answer(mut session: Session, reply: impl Fn(String) -> String) {
    while let Some(Incoming::Message(text)) = session.receive().await {
        if session.send(reply(text)).is_err() {
            return;
        }
    }
}

fn doublings(text: &str) -> u32 {
    text.trim().parse().ok().filter(|doublings| (1..=MAX_DOUBLINGS).contains(doublings)).unwrap_or(1)
}

async fn tick(session: &Session) {
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    seconds.tick().await;
    loop {
        seconds.tick().await;
        if session.send("tick!").is_err() {
            return;
        }
    }
}

async fn share(mut session: Session, all: &broadcast::Sender<String>) {
    while let Some(Incoming::Message(text)) = session.receive().await {
        // There is always somebody listening, but for a session that has just ended.
        let _ = all.send(text);
    }
}

async fn listen(session: SessionHandle, mut all: broadcast::Receiver<String>) {
    loop {
        let text = tokio::select! {
            text = all.recv() => text,
            _ = session.wait_ended() => return,
        };
        match text {
            Ok(text) => {
                if session.send(text).is_err() {
                    return;
                }
            }
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}
