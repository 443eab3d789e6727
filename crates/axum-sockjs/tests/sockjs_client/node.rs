//! In Node.js, each transport in a test of its own.

use super::outcomes::{OBSERVED, run};
use super::world::World;

async fn passes(transport: &str) {
    let world = World::new().await;
    run("node/sockjs_client.mjs", &[world.url()], &[transport]).await;
    world.emptied(OBSERVED).await;
}

#[tokio::test]
async fn websocket() {
    passes("websocket").await;
}

#[tokio::test]
async fn xhr_streaming() {
    passes("xhr-streaming").await;
}

#[tokio::test]
async fn xhr_polling() {
    passes("xhr-polling").await;
}

#[tokio::test]
async fn eventsource() {
    passes("eventsource").await;
}
