//! S13: the example as it is, with a client.

#[path = "../../support/mod.rs"]
mod support;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use support::{PATIENCE, connect, start, token};

#[tokio::test]
async fn s13_the_echo_example_echoes_to_a_user_of_the_application() {
    let (_child, address) = start(env!("CARGO_BIN_EXE_axum-echo")).await;
    let mut socket = connect(&address, &token("chat", "alice", &[])).await.expect("let in");
    for message in [Message::text("hello"), Message::binary(vec![0, 1, 2])] {
        socket.send(message.clone()).await.expect("sent");
        let echo = timeout(PATIENCE, socket.next()).await.expect("an echo in time");
        assert_eq!(echo.expect("an echo").expect("an echo"), message);
    }
    assert_eq!(connect(&address, &token("another", "alice", &[])).await.err(), Some(401));
}
