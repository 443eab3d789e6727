//! How a connection ends, and what its handler sees of it: without a line of the application's.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use usher_auth::ids::{IssuerName, TokenId, UserId};
use usher_auth::protocol::UsherV1;
use usher_auth::revocation::RevocationTarget;
use usher_auth::route::RouteRules;
use usher_axum::{AuthenticatedWebSocket, SocketClosed};

use crate::world::{Closed, MovedClock, builder, claims, connect_with, serve, sign, token};

/// Echoes, and tells when it is done, with what the end was to it.
async fn echo(mut socket: AuthenticatedWebSocket, ended: mpsc::UnboundedSender<bool>) -> Result<(), SocketClosed> {
    while let Some(message) = socket.recv().await {
        socket.send(message).await?;
    }
    let _ = ended.send(socket.send("more").await.is_err());
    Ok(())
}

#[tokio::test]
async fn s13_a_revocation_closes_the_connection_and_refuses_the_token() {
    // req H3, H4
    let usher = builder().build().await.expect("an usher");
    let (ended, mut ends) = mpsc::unbounded_channel();
    let route = usher.websocket(move |socket| echo(socket, ended.clone()));
    let address = serve(Router::new().route("/ws", get(route))).await;
    let issuer = IssuerName::new("myapp").expect("a name");
    let jti = TokenId::new("alice-1").expect("an id");
    let alice = token("alice");
    let mut client = connect_with(address, "/ws", &alice).await;
    assert_eq!(client.echo("hello").await, "hello");
    assert_eq!(usher.revoke(RevocationTarget::Token(Some(issuer), jti)).await.expect("a store"), 1);
    assert_eq!(client.closed().await.code, 4004);
    assert_eq!(ends.recv().await, Some(true), "the handler has seen the end");
    let again = crate::world::connect(address, "/ws", &[("authorization", &format!("Bearer {alice}"))]).await;
    // Where the route takes first messages a client without an Origin is refused over HTTP.
    assert_eq!(again.err().expect("refused").0, 401);

    let mut bob = connect_with(address, "/ws", &token("bob")).await;
    assert_eq!(bob.echo("hello").await, "hello");
    let user = UserId::new("myapp:bob").expect("an id");
    assert_eq!(usher.revoke_user(&user).await.expect("a store"), 1);
    assert_eq!(bob.closed().await.code, 4004);
    assert_eq!(usher.connections().count(), 0);
}

#[tokio::test]
async fn s13_a_token_that_expires_closes_the_connection() {
    // req H1, H10
    let usher = builder().build().await.expect("an usher");
    let (ended, mut ends) = mpsc::unbounded_channel();
    let route = usher.websocket(move |socket| echo(socket, ended.clone()));
    let address = serve(Router::new().route("/ws", get(route))).await;
    let mut client = connect_with(address, "/ws", &sign(&claims("alice", Duration::from_secs(2)))).await;
    assert_eq!(client.echo("hello").await, "hello");
    assert_eq!(client.closed().await.code, 4002);
    assert_eq!(ends.recv().await, Some(true));
}

#[tokio::test]
async fn s13_a_renewal_goes_on_and_the_handler_sees_it() {
    // req H8: over a protocol in which a client can present another token.
    let clock = MovedClock::new();
    let usher = builder().clock(clock.clone()).build().await.expect("an usher");
    let route = usher.websocket(|mut socket: AuthenticatedWebSocket| async move {
        while let Some(permit) = socket.renewed().await {
            let roles: Vec<_> = permit.principal().roles.iter().map(ToString::to_string).collect();
            socket
                .send(json!({"now": roles, "same": socket.permit().expires_at() == permit.expires_at()}).to_string())
                .await?;
        }
        Ok::<_, SocketClosed>(())
    });
    let route = route.rules(|rules| *rules = RouteRules::speaking(Arc::new(UsherV1)));
    let address = serve(Router::new().route("/ws", get(route))).await;
    let mut client = connect_with(address, "/ws", &token("alice")).await;
    let json_of = |message: Message| -> Value { serde_json::from_str(message.to_text().expect("text")).expect("JSON") };
    assert_eq!(json_of(client.next().await.expect("a frame"))["type"], "authenticated");
    let mut renewed = claims("alice", Duration::from_mins(30));
    renewed["roles"] = json!(["editor"]);
    client.send(json!({"type": "auth", "token": sign(&renewed)}).to_string()).await;
    let mut frames = [client.next().await.expect("a frame"), client.next().await.expect("a frame")].map(json_of);
    frames.sort_by_key(|frame| frame.get("type").is_none());
    assert_eq!(frames[0]["type"], "authenticated");
    assert_eq!(frames[1], json!({"now": ["editor"], "same": true}));
    // Past the first token's end it goes on, and no further than to the second's.
    clock.advance(Duration::from_mins(11));
    client.send(json!({"type": "ping"}).to_string()).await;
    assert_eq!(json_of(client.next().await.expect("a frame"))["type"], "pong");
    clock.advance(Duration::from_mins(20));
    client.send(json!({"type": "ping"}).to_string()).await;
    let closed = loop {
        if let Err(closed) = client.next().await {
            break closed;
        }
    };
    assert_eq!(closed.code, 4002);
}

#[tokio::test]
async fn s13_the_handlers_end_is_the_connections() {
    let usher = builder().build().await.expect("an usher");
    let route = usher.websocket(|mut socket: AuthenticatedWebSocket| async move {
        let message = socket.recv().await;
        match message.as_ref().and_then(|message| message.as_text()) {
            Some("close") => drop(socket.close(4321, "over")),
            Some("forbidden code") => assert!(socket.close(1006, "").is_err()),
            Some("panic") => panic!("as a test"),
            Some("error") => return Err("it failed"),
            _ => {}
        }
        Ok(())
    });
    let address = serve(Router::new().route("/ws", get(route))).await;
    for (message, code, reason) in [
        ("return", 1000, ""),
        ("close", 4321, "over"),
        ("forbidden code", 1000, ""),
        ("panic", 1011, "Internal error"),
        ("error", 1011, "Internal error"),
    ] {
        let mut client = connect_with(address, "/ws", &token("alice")).await;
        client.send(message).await;
        assert_eq!(client.closed().await, Closed { code, reason: reason.to_owned() }, "{message}");
    }
}

#[tokio::test]
async fn s13_what_a_client_sent_before_it_left_is_taken() {
    let usher = builder().build().await.expect("an usher");
    let (told, mut taken) = mpsc::unbounded_channel();
    let (go, gone) = tokio::sync::watch::channel(false);
    let route = usher.websocket(move |mut socket: AuthenticatedWebSocket| {
        let (told, mut gone) = (told.clone(), gone.clone());
        async move {
            let _ = gone.wait_for(|gone| *gone).await;
            let mut count = 0;
            while socket.recv().await.is_some() {
                count += 1;
            }
            let _ = told.send(count);
        }
    });
    let address = serve(Router::new().route("/ws", get(route))).await;
    let mut client = connect_with(address, "/ws", &token("alice")).await;
    for _ in 0..5 {
        client.send("one").await;
    }
    client.send(Message::Close(None)).await;
    while usher.connections().count() > 0 {
        tokio::task::yield_now().await;
    }
    go.send_replace(true);
    assert_eq!(taken.recv().await, Some(5));
}

#[tokio::test]
async fn s13_a_client_that_reads_slowly_slows_its_sender_down_and_one_that_sends_fast_is_paused() {
    // req M9
    const COUNT: usize = 400;
    let usher = builder().outbound_limit(64 * 1024).build().await.expect("an usher");
    let route = usher.websocket(|mut socket: AuthenticatedWebSocket| async move {
        // Two senders, which wait for the same client.
        let sender = socket.sender();
        let other = tokio::spawn(async move {
            for _ in 0..COUNT {
                sender.send(vec![1; 32 * 1024]).await?;
            }
            Ok::<_, SocketClosed>(())
        });
        for _ in 0..COUNT {
            socket.send(vec![2; 32 * 1024]).await?;
        }
        other.await.expect("no panic")?;
        let mut bytes = 0;
        while let Some(message) = socket.recv().await {
            bytes += message.len();
            if message.is_empty() {
                socket.send(bytes.to_string()).await?;
            }
        }
        Ok::<_, SocketClosed>(())
    });
    let address = serve(Router::new().route("/ws", get(route))).await;
    let mut client = connect_with(address, "/ws", &token("alice")).await;
    // More than the handler lets wait.
    for _ in 0..100 {
        client.send(Message::binary(vec![3; 4096])).await;
    }
    let (mut ones, mut twos) = (0, 0);
    while ones + twos < 2 * COUNT {
        match client.next().await.expect("it goes on") {
            Message::Binary(bytes) if bytes[0] == 1 => ones += 1,
            _ => twos += 1,
        }
    }
    assert_eq!((ones, twos), (COUNT, COUNT));
    client.send(Message::binary(Vec::new())).await;
    assert_eq!(client.next().await, Ok(Message::text((100 * 4096).to_string())));
}

#[tokio::test]
async fn s13_a_drain_tells_every_client_to_come_back() {
    // req H14
    let usher = builder().build().await.expect("an usher");
    let (ended, mut ends) = mpsc::unbounded_channel();
    let route = usher.websocket(move |socket| echo(socket, ended.clone()));
    let address = serve(Router::new().route("/ws", get(route))).await;
    let mut client = connect_with(address, "/ws", &token("alice")).await;
    assert_eq!(client.echo("hello").await, "hello");
    let draining = usher.clone();
    let drained = tokio::spawn(async move { draining.drain(Duration::from_secs(5)).await });
    assert_eq!(client.closed().await.code, 1012);
    drop(client);
    drained.await.expect("no panic");
    assert_eq!(ends.recv().await, Some(true));
    let bearer = format!("Bearer {}", token("bob"));
    let refused = crate::world::connect(address, "/ws", &[("authorization", bearer.as_str())]).await;
    assert_eq!(refused.err().expect("refused").0, 503);
}
