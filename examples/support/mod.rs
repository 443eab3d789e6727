//! What the tests of the examples share: the program, its users' tokens, and a connection.

use std::process::Stdio;
use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::error::Error;
use tokio_tungstenite::{WebSocketStream, client_async};
use usher_auth::Clock as _;
use usher_axum::ambient::SystemClock;

/// Longest a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(10);

const SECRET: &str = "a secret of an application, long enough for HS256";

/// Starts an example on a free port; its address.
pub async fn start(program: &str) -> (Child, String) {
    let mut command = Command::new(program);
    command.arg("127.0.0.1:0").env("JWT_SECRET", SECRET).env("NO_COLOR", "1").stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let listening = async {
        loop {
            let line = lines.next_line().await.expect("text").expect("a line that says where it listens");
            if let Some((_, address)) = line.split_once("listening on ") {
                return address.trim().to_owned();
            }
        }
    };
    let address = tokio::time::timeout(PATIENCE, listening).await.expect("it listens soon");
    (child, address)
}

/// A token that the application gives a user.
pub fn token(audience: &str, user: &str, roles: &[&str]) -> String {
    let now = SystemClock::new().now().unix.as_seconds();
    let claims = json!({"iss": "myapp", "aud": audience, "sub": user, "roles": roles, "iat": now, "exp": now + 60});
    encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).expect("a token")
}

/// Connects with a token; or the status of the refusal.
pub async fn connect(address: &str, token: &str) -> Result<WebSocketStream<TcpStream>, u16> {
    let mut request = format!("ws://{address}/ws").into_client_request().expect("a request");
    request.headers_mut().insert("authorization", format!("Bearer {token}").parse().expect("a value"));
    let stream = TcpStream::connect(address).await.expect("it listens");
    match client_async(request, stream).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(answer)) => Err(answer.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}
