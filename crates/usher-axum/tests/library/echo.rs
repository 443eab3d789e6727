//! What an application gets in a few lines.

use std::time::Duration;

use axum::Router;
use axum::extract::{FromRef, Path, State};
use axum::response::Response;
use axum::routing::get;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use usher_auth::carriers::Carrier;
use usher_axum::{AuthenticatedUpgrade, AuthenticatedWebSocket, SocketClosed, Usher};

use crate::world::{Closed, builder, claims, connect, connect_with, serve, sign, token};

async fn echo(mut socket: AuthenticatedWebSocket) -> Result<(), SocketClosed> {
    while let Some(message) = socket.recv().await {
        socket.send(message).await?;
    }
    Ok(())
}

#[tokio::test]
async fn s13_an_echo_takes_text_and_binary_and_says_nothing_of_its_own() {
    let usher = builder().build().await.expect("an usher");
    let address = serve(Router::new().route("/ws", get(usher.websocket(echo)))).await;
    let mut client = connect_with(address, "/ws", &token("alice")).await;
    assert_eq!(client.echo("hello").await, "hello");
    for length in [0, 1, 125, 126, 65_000] {
        client.send(Message::binary(vec![7; length])).await;
        assert_eq!(client.next().await, Ok(Message::binary(vec![7; length])));
    }
    assert_eq!(client.echo(r#"{"type":"ping"}"#).await, r#"{"type":"ping"}"#, "it is the application's");
    assert_eq!(usher.connections().count(), 1);
    // In a first message, as a page must.
    let mut page = connect(address, "/ws", &[("origin", "https://app.example")]).await.expect("a socket that waits");
    page.send(json!({"type": "auth", "token": token("bob")}).to_string()).await;
    assert_eq!(page.echo("hello").await, "hello");
}

#[tokio::test]
async fn s13_what_is_not_good_gets_nowhere() {
    // req C1, F1
    let usher = builder().build().await.expect("an usher");
    let route = usher.websocket(echo).carriers([Carrier::Header]);
    let address = serve(Router::new().route("/ws", get(route))).await;
    let with = |name: &str, value: &str| {
        let mut claims = claims("alice", Duration::from_mins(1));
        claims[name] = json!(value);
        format!("Bearer {}", sign(&claims))
    };
    let expired = {
        let mut claims = claims("alice", Duration::from_mins(1));
        (claims["iat"], claims["exp"]) = (json!(1_700_000_000), json!(1_700_000_060));
        format!("Bearer {}", sign(&claims))
    };
    let forged = format!("Bearer {}x", token("alice"));
    let foreign = with("iss", "another");
    let elsewhere = with("aud", "another");
    for bad in [&forged, &foreign, &elsewhere, &expired, "Bearer a.b.c"] {
        let (status, problem) = connect(address, "/ws", &[("authorization", bad)]).await.err().expect("refused");
        assert_eq!(status, 401, "{problem}");
    }
    let (status, _) = connect(address, "/ws", &[]).await.err().expect("refused");
    assert_eq!(status, 401);
    assert_eq!(usher.connections().count(), 0);
}

#[tokio::test]
async fn s13_anonymous_users_are_let_in_where_the_route_says_so() {
    let usher = builder().build().await.expect("an usher");
    let who = usher.websocket(|socket: AuthenticatedWebSocket| async move {
        let _ = socket.send(socket.permit().principal().anonymous.to_string()).await;
    });
    let route = who.carriers([Carrier::Header]).anonymous();
    let address = serve(Router::new().route("/ws", get(route))).await;
    let mut client = connect(address, "/ws", &[]).await.expect("let in");
    assert_eq!(client.next().await, Ok(Message::text("true")));
    assert_eq!(client.closed().await, Closed { code: 1000, reason: String::new() });
}

#[derive(Clone)]
struct AppState {
    usher: Usher,
    greeting: &'static str,
}

impl FromRef<AppState> for Usher {
    fn from_ref(state: &AppState) -> Self {
        state.usher.clone()
    }
}

async fn rooms(
    State(AppState { greeting, .. }): State<AppState>,
    Path(room): Path<String>,
    upgrade: AuthenticatedUpgrade,
) -> Response {
    let upgrade = upgrade.carriers([Carrier::Header]).rules(|rules| rules.max_message_bytes = 100);
    upgrade
        .serve(move |mut socket: AuthenticatedWebSocket| {
            let room = room.clone();
            async move {
                let hello = format!("{greeting} {} in {room}", socket.permit().principal().id);
                socket.send(hello).await?;
                while socket.recv().await.is_some() {}
                Ok::<_, SocketClosed>(())
            }
        })
        .await
}

#[tokio::test]
async fn s13_an_upgrade_is_an_argument_beside_axums_own() {
    let usher = builder().build().await.expect("an usher");
    let state = AppState { usher, greeting: "welcome" };
    let address = serve(Router::new().route("/rooms/{room}", get(rooms)).with_state(state)).await;
    let mut client = connect_with(address, "/rooms/lobby", &token("alice")).await;
    assert_eq!(client.next().await, Ok(Message::text("welcome myapp:alice in lobby")));
    client.send("x".repeat(101).as_str()).await;
    assert_eq!(client.closed().await.code, 1009);
    let (status, _) = connect(address, "/rooms/lobby", &[]).await.err().expect("refused");
    assert_eq!(status, 401);
    // What is no upgrade is answered as such.
    let plain = reqwest::get(format!("http://{address}/rooms/lobby")).await.expect("an answer");
    assert_eq!(plain.status(), 400);
}

#[tokio::test]
async fn s13_a_route_may_be_at_several_paths() {
    let usher = builder().build().await.expect("an usher");
    let route = usher.websocket(echo);
    let app = Router::new().route("/one", get(route.clone())).route("/two", get(route));
    let address = serve(app).await;
    for path in ["/one", "/two", "/one"] {
        let mut client = connect_with(address, path, &token("alice")).await;
        assert_eq!(client.echo(path).await, path);
        let open = usher.connections().live();
        assert!(open.iter().any(|connection| connection.scene().is_some_and(|scene| scene.route == path)), "{path}");
    }
}
