//! An application with the library in it, and a client.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures_util::{SinkExt as _, StreamExt as _};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::error::Error;
use tokio_tungstenite::{WebSocketStream, client_async};
use usher_auth::{Clock, Now};
use usher_axum::ambient::SystemClock;
use usher_axum::{Issuer, Usher, UsherBuilder};

pub(crate) const SECRET: &str = "a secret of an application, long enough for HS256";

/// Longest a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(10);

/// The system's clocks, moved forward by what a test adds.
pub(crate) struct MovedClock {
    system: SystemClock,
    forward: Mutex<Duration>,
}

impl MovedClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { system: SystemClock::new(), forward: Mutex::default() })
    }

    pub(crate) fn advance(&self, by: Duration) {
        *self.forward.lock() += by;
    }
}

impl Clock for MovedClock {
    fn now(&self) -> Now {
        self.system.now().after(*self.forward.lock())
    }
}

/// With the application's issuer.
pub(crate) fn builder() -> UsherBuilder {
    let issuer = Issuer::hmac("myapp", SECRET).expect("a secret").audience("chat").leeway(Duration::ZERO);
    Usher::builder().issuer(issuer.roles_claim("roles"))
}

/// Serves the application as axum does.
pub(crate) async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await.expect("it serves") });
    address
}

/// The claims of a token that the application makes.
pub(crate) fn claims(user: &str, lives: Duration) -> Value {
    let issued_at = SystemClock::new().now().unix.as_seconds();
    let expires_at = issued_at + i64::try_from(lives.as_secs()).expect("a short life");
    json!({"iss": "myapp", "aud": "chat", "sub": user, "iat": issued_at, "exp": expires_at, "jti": format!("{user}-1")})
}

pub(crate) fn sign(claims: &Value) -> String {
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    encode(&Header::new(Algorithm::HS256), claims, &key).expect("a token")
}

pub(crate) fn token(user: &str) -> String {
    sign(&claims(user, Duration::from_mins(10)))
}

/// A client's connection.
pub(crate) struct Client(WebSocketStream<TcpStream>);

/// How a connection ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Closed {
    pub(crate) code: u16,
    pub(crate) reason: String,
}

/// Connects with these headers; or the status of the refusal and its problem document.
pub(crate) async fn connect(
    address: SocketAddr,
    path: &str,
    headers: &[(&'static str, &str)],
) -> Result<Client, (u16, Value)> {
    let mut request = format!("ws://{address}{path}").into_client_request().expect("a request");
    for (name, value) in headers {
        request.headers_mut().append(*name, value.parse().expect("a value"));
    }
    let stream = TcpStream::connect(address).await.expect("it listens");
    match client_async(request, stream).await {
        Ok((socket, _)) => Ok(Client(socket)),
        Err(Error::Http(answer)) => {
            let status = answer.status().as_u16();
            let problem = answer.body().as_ref().and_then(|body| serde_json::from_slice(body).ok());
            Err((status, problem.unwrap_or_default()))
        }
        Err(error) => panic!("{error}"),
    }
}

/// Connects with a token in the `Authorization` header.
pub(crate) async fn connect_with(address: SocketAddr, path: &str, token: &str) -> Client {
    let bearer = format!("Bearer {token}");
    connect(address, path, &[("authorization", bearer.as_str())]).await.expect("let in")
}

impl Client {
    pub(crate) async fn send(&mut self, message: impl Into<Message>) {
        self.0.send(message.into()).await.expect("sent");
    }

    /// The next message, or how the connection ended.
    pub(crate) async fn next(&mut self) -> Result<Message, Closed> {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.0.next()).await.expect("something in time");
            match next {
                Some(Ok(Message::Close(Some(close)))) => {
                    return Err(Closed { code: close.code.into(), reason: close.reason.to_string() });
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => return Ok(message),
                other => return Err(Closed { code: 1006, reason: format!("{other:?}") }),
            }
        }
    }

    /// What comes back for a text.
    pub(crate) async fn echo(&mut self, text: &str) -> String {
        self.send(text).await;
        self.next().await.expect("an echo").into_text().expect("text").to_string()
    }

    pub(crate) async fn closed(&mut self) -> Closed {
        self.next().await.expect_err("the end")
    }
}
