//! Clients that poll are told of a stop in two answers: `bye`, and with their next request the close frame (req H14).

use std::time::Duration;

use reqwest::Client;

use crate::process::{Place, Process, log_in};

const CONFIG: &str = "[sockjs]\n[[routes]]\npath = \"/ws\"\n";

/// A client that opens a connection for each request.
fn client() -> Client {
    Client::builder().no_proxy().pool_max_idle_per_host(0).build().expect("a client")
}

async fn poll(server: &Process, token: &str) -> String {
    let url = format!("{}sockjs/000/abcdefgh/xhr", server.url);
    let answer = client().post(url).bearer_auth(token).send().await.expect("the server is there");
    answer.text().await.expect("text")
}

#[tokio::test]
async fn the_poll_after_the_bye_gets_the_close_frame() {
    // req H14
    let place = Place::new(CONFIG);
    place.add_user("alice");
    let server = place.start();
    let token = log_in(&client(), server.url.as_str(), "alice").await.expect("a log-in").access;
    assert_eq!(poll(&server, &token).await, "o\n");
    assert!(poll(&server, &token).await.contains("authenticated"));
    let (told, ()) = tokio::join!(poll(&server, &token), async {
        // The poll waits for something to say; whether it came first or the signal makes no difference.
        server.signal("TERM");
    });
    assert!(told.contains("bye") && told.contains("1012"), "{told}");
    // Everything else is refused meanwhile.
    let refused = client().get(format!("{}healthz", server.url)).send().await.expect("the server is there");
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    let opening = format!("{}sockjs/000/another/xhr", server.url);
    let opening = client().post(opening).bearer_auth(&token).send().await.expect("the server is there");
    assert_eq!(opening.status(), 503);
    assert!(poll(&server, &token).await.starts_with("c[1012,"));
    assert_eq!(tokio::task::spawn_blocking(|| server.wait()).await.expect("no panic"), Some(0));
}

#[tokio::test]
async fn a_stop_without_clients_to_tell_takes_no_time() {
    let place = Place::new(&format!("drain = \"1m\"\n{CONFIG}"));
    let server = place.start();
    server.signal("TERM");
    let ended = tokio::task::spawn_blocking(|| server.wait());
    let code = tokio::time::timeout(Duration::from_secs(20), ended).await.expect("long before the minute is over");
    assert_eq!(code.expect("no panic"), Some(0));
}
