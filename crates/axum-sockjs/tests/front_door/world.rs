//! A service under `/s` on a port of its own, whose sessions the test holds itself.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use axum_sockjs::{
    Application, Config, Incoming, Malformed, OnMalformed, Session, SockJs, Transport, TransportRequest,
};
use http::StatusCode;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::client::{Client, within};

/// Hands each session to the test. It lets in who brings no cookie `bad`, and later those who bring the opener's.
pub struct Probe {
    sessions: mpsc::UnboundedSender<(Session, Facts)>,
    on_malformed: OnMalformed,
}

impl Probe {
    pub fn new(sessions: mpsc::UnboundedSender<(Session, Facts)>) -> Self {
        Self { sessions, on_malformed: OnMalformed::Refuse }
    }
}

/// What a session's opener was.
#[derive(Clone, Debug)]
pub struct Facts {
    pub transport: Transport,
    pub method: String,
    pub peer: Option<SocketAddr>,
    pub cookie: Option<String>,
}

impl Application for Probe {
    type Opener = Facts;

    async fn accept(&self, request: &TransportRequest<'_>) -> Result<Facts, Response> {
        let cookie = cookie(request);
        if cookie.as_deref() == Some("bad") {
            return Err((StatusCode::UNAUTHORIZED, "who are you?").into_response());
        }
        Ok(Facts { transport: request.transport(), method: request.method().to_string(), peer: request.peer(), cookie })
    }

    async fn admit(&self, opener: &Facts, request: &TransportRequest<'_>) -> Result<(), Response> {
        if cookie(request) == opener.cookie { Ok(()) } else { Err(StatusCode::FORBIDDEN.into_response()) }
    }

    fn malformed(&self, _opener: &Facts, _malformed: &Malformed) -> OnMalformed {
        self.on_malformed
    }

    async fn run(&self, session: Session, opener: Arc<Facts>) {
        let _ = self.sessions.send((session, (*opener).clone()));
    }
}

fn cookie(request: &TransportRequest<'_>) -> Option<String> {
    request.headers().get("cookie").map(|cookie| cookie.to_str().unwrap().to_owned())
}

pub struct World {
    pub client: Client,
    pub service: SockJs<Probe>,
    sessions: mpsc::UnboundedReceiver<(Session, Facts)>,
}

impl World {
    pub async fn new() -> Self {
        Self::with(Config::default()).await
    }

    pub async fn with(config: Config) -> Self {
        Self::with_malformed(config, OnMalformed::Refuse).await
    }

    pub async fn with_malformed(config: Config, on_malformed: OnMalformed) -> Self {
        Self::start("/s", config, on_malformed).await
    }

    /// Under another base.
    pub async fn at(base: &str) -> Self {
        Self::start(base, Config::default(), OnMalformed::Refuse).await
    }

    async fn start(base: &str, config: Config, on_malformed: OnMalformed) -> Self {
        let (sender, sessions) = mpsc::unbounded_channel();
        let service = SockJs::new(Probe { sessions: sender, on_malformed }, config).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = Client::new(listener.local_addr().unwrap());
        let router = service.router::<()>(base);
        tokio::spawn(async move {
            axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>()).await.unwrap();
        });
        Self { client, service, sessions }
    }

    /// The session that was opened last.
    pub async fn session(&mut self) -> (Session, Facts) {
        within(self.sessions.recv()).await.unwrap()
    }

    /// Opens a session over a poll.
    pub async fn opened(&mut self, name: &str) -> Session {
        assert_eq!(self.client.poll(name).await, "o\n");
        self.session().await.0
    }
}

/// The next message of a session.
pub async fn message(session: &mut Session) -> String {
    match within(session.receive()).await {
        Some(Incoming::Message(text)) => text,
        other => panic!("{other:?}"),
    }
}
