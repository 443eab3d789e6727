//! SIGTERM drains, a second signal ends it at once, SIGHUP reloads (req H14).

use serde_json::json;
use usher_testkit::Upgrade;

use crate::process::{Place, log_in};

const ROUTES: &str = "[[rooms]]\npattern = \"board-*\"\njoin = [\"role:user\"]\n[[routes]]\npath = \"/ws\"\n";

async fn access_token(server: &crate::process::Process) -> String {
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    log_in(&http, server.url.as_str(), "alice").await.expect("a log-in").access
}

#[tokio::test]
async fn sigterm_says_goodbye_to_everybody_and_ends() {
    // req H14
    let place = Place::new(ROUTES);
    place.add_user("alice");
    let server = place.start();
    let token = access_token(&server).await;
    let mut socket = Upgrade::at("/ws").bearer(&token).connect(&server.url).await.expect("let in");
    socket.expect("authenticated").await;
    let mut waiting = Upgrade::at("/ws").connect(&server.url).await.expect("it waits");
    server.signal("TERM");
    for socket in [&mut socket, &mut waiting] {
        let (frames, closed) = socket.closed().await;
        assert_eq!(closed.code, 1012);
        assert!(frames.last().expect("a last frame")["retry_after_ms"].is_u64());
    }
    drop((socket, waiting));
    assert_eq!(tokio::task::spawn_blocking(|| server.wait()).await.expect("no panic"), Some(0));
}

#[tokio::test]
async fn a_second_signal_does_not_wait() {
    let place = Place::new(&format!("drain = \"5m\"\n{ROUTES}"));
    place.add_user("alice");
    let server = place.start();
    let token = access_token(&server).await;
    let mut sockets = Vec::new();
    for _ in 0..20 {
        let mut socket = Upgrade::at("/ws").bearer(&token).connect(&server.url).await.expect("let in");
        socket.expect("authenticated").await;
        sockets.push(socket);
    }
    server.signal("TERM");
    // One of the first to be told: the drain has begun, and would go on for minutes.
    let mut closed = futures_util::future::select_all(sockets.iter_mut().map(|socket| Box::pin(socket.closed())));
    assert_eq!((&mut closed).await.0.1.code, 1012);
    server.signal("INT");
    assert_eq!(tokio::task::spawn_blocking(|| server.wait()).await.expect("no panic"), Some(0));
}

#[tokio::test]
async fn sighup_takes_in_what_changed_and_refuses_what_is_wrong() {
    // req H14
    let place = Place::new(ROUTES);
    place.add_user("alice");
    let server = place.start();
    let token = access_token(&server).await;
    let mut socket = Upgrade::at("/ws").bearer(&token).connect(&server.url).await.expect("let in");
    socket.expect("authenticated").await;
    socket.join("board-1").await;
    // What is wrong changes nothing; what follows it shows that it was read.
    place.configure("[[rooms]]\npattern = 7\n");
    server.signal("HUP");
    place.configure(&ROUTES.replace("role:user", "role:admin"));
    server.signal("HUP");
    assert_eq!(
        socket.expect("rooms_lost").await,
        json!({"type": "rooms_lost", "rooms": ["board-1"], "reason": "policy changed"})
    );
    assert!(socket.ping().await.is_empty());
}
