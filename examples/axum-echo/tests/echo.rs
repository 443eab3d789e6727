//! S13: the example as it is, with a client.

use std::process::Stdio;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::error::Error;
use tokio_tungstenite::{WebSocketStream, client_async};
use usher_auth::Clock as _;
use usher_axum::ambient::SystemClock;

const SECRET: &str = "a secret of an application, long enough for HS256";

/// Starts the example on a free port; its address.
async fn start() -> (Child, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_axum-echo"));
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
    let address = tokio::time::timeout(Duration::from_secs(10), listening).await.expect("it listens soon");
    (child, address)
}

fn token(audience: &str) -> String {
    let now = SystemClock::new().now().unix.as_seconds();
    let claims: Value = json!({"iss": "myapp", "aud": audience, "sub": "alice", "iat": now, "exp": now + 60});
    encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).expect("a token")
}

async fn connect(address: &str, token: &str) -> Result<WebSocketStream<tokio::net::TcpStream>, u16> {
    let mut request = format!("ws://{address}/ws").into_client_request().expect("a request");
    request.headers_mut().insert("authorization", format!("Bearer {token}").parse().expect("a value"));
    let stream = tokio::net::TcpStream::connect(address).await.expect("it listens");
    match client_async(request, stream).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(answer)) => Err(answer.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn s13_the_echo_example_echoes_to_a_user_of_the_application() {
    let (_child, address) = start().await;
    let mut socket = connect(&address, &token("chat")).await.expect("let in");
    for message in [Message::text("hello"), Message::binary(vec![0, 1, 2])] {
        socket.send(message.clone()).await.expect("sent");
        assert_eq!(socket.next().await.expect("an echo").expect("an echo"), message);
    }
    assert_eq!(connect(&address, &token("another")).await.err(), Some(401));
}
