//! An account that is being guessed at stays open to the addresses that it was used from, also after a restart (req K2).

use std::net::Ipv4Addr;

use serde_json::json;

use crate::process::{PASSWORD, Place, Process};

/// The status of a log-in of alice from there.
async fn try_password(server: &Process, from: u8, password: &str) -> u16 {
    let from = Ipv4Addr::new(127, 0, 0, from);
    let http =
        reqwest::Client::builder().no_proxy().local_address(std::net::IpAddr::from(from)).build().expect("a client");
    let request = http.post(format!("{}auth/login", server.url)).json(&json!({"user": "alice", "pwd": password}));
    request.send().await.expect("an answer").status().as_u16()
}

async fn guess_until_throttled(server: &Process) {
    for _ in 0..10 {
        assert!(matches!(try_password(server, 66, "a guess").await, 401 | 429));
    }
    assert_eq!(try_password(server, 66, "a guess").await, 429);
}

async fn stop(server: Process) {
    server.signal("TERM");
    assert_eq!(tokio::task::spawn_blocking(|| server.wait()).await.expect("no panic"), Some(0));
}

#[tokio::test]
async fn an_owner_gets_in_from_an_address_they_used_before_the_restart() {
    // req K2
    let place = Place::new("[[routes]]\npath = \"/ws\"\n");
    place.add_user("alice");
    let server = place.start();
    assert_eq!(try_password(&server, 4, PASSWORD).await, 200);
    stop(server).await;
    for _ in 0..2 {
        let server = place.start();
        guess_until_throttled(&server).await;
        assert_eq!(try_password(&server, 4, PASSWORD).await, 200, "the address that they always use");
        assert_eq!(try_password(&server, 5, PASSWORD).await, 429, "one that is as strange as the guesser's");
        stop(server).await;
    }
    // The addresses are hashed with a key that its owner alone may read.
    assert_eq!(place.mode_of("usher.db.address-key"), 0o600);
    // A new user of the same name is another one, in the running server and after a restart.
    let server = place.start();
    place.run(&["user", "remove", "alice"]);
    place.add_user("alice");
    guess_until_throttled(&server).await;
    assert_eq!(try_password(&server, 4, PASSWORD).await, 429);
    stop(server).await;
    let server = place.start();
    guess_until_throttled(&server).await;
    assert_eq!(try_password(&server, 4, PASSWORD).await, 429);
}
