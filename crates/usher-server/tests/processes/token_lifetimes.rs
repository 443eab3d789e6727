//! What becomes of access tokens when their lifetime is configured anew: a revocation is remembered for as long as the longest of them lives.

use crate::process::{Place, Process, log_in};

async fn status(http: &reqwest::Client, server: &Process, token: &str) -> u16 {
    let request = http.get(format!("{}auth/sessions", server.url)).bearer_auth(token);
    request.send().await.expect("an answer").status().as_u16()
}

#[tokio::test]
async fn a_token_that_lives_longer_than_any_of_ours_is_refused() {
    // req H3
    let config = |ttl: &str| format!("[tokens]\naccess_ttl = \"{ttl}\"\n[[routes]]\npath = \"/ws\"\n");
    let place = Place::new(&config("10m"));
    place.add_user("alice");
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let server = place.start();
    let old = log_in(&http, server.url.as_str(), "alice").await.expect("an answer").access;
    assert_eq!(status(&http, &server, &old).await, 200);
    server.kill();

    // A shorter one: the old token outlives what is remembered. A token's times are whole seconds, and the setting need not be.
    place.configure(&config("90500ms"));
    let server = place.start();
    assert_eq!(status(&http, &server, &old).await, 401);
    let new = log_in(&http, server.url.as_str(), "alice").await.expect("an answer").access;
    assert_eq!(status(&http, &server, &new).await, 200);
}
