//! In a headless browser: from a page of the service's own origin, and from another's.

use super::outcomes::{OBSERVED, environment, run};
use super::world::World;

async fn passes(page: &World, service: &World, transports: &[&str]) {
    environment("USHER_E2E_CHROMIUM");
    let arguments = [page.url(), service.url()];
    run("chromium/sockjs_client.mjs", &arguments, transports).await;
    service.emptied(OBSERVED * transports.len()).await;
}

#[tokio::test]
async fn a_page_of_the_same_origin() {
    let world = World::new().await;
    let transports = ["websocket", "xhr-streaming", "eventsource", "htmlfile", "xhr-polling"];
    passes(&world, &world, &transports).await;
}

#[tokio::test]
async fn a_page_of_another_origin() {
    let (page, service) = (World::new().await, World::new().await);
    let transports = ["websocket", "xhr-streaming", "eventsource", "xhr-polling"];
    passes(&page, &service, &transports).await;
}

#[tokio::test]
async fn through_an_iframe_of_the_service() {
    let (page, service) = (World::new().await, World::new().await);
    let transports = ["iframe-eventsource", "iframe-htmlfile", "iframe-xhr-polling"];
    passes(&page, &service, &transports).await;
}
