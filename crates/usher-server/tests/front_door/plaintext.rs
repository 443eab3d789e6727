//! Plain text behind a proxy is for that proxy alone (req A1).

use usher_axum::TrustedProxies;
use usher_server::listener::Entrance;
use usher_testkit::TestServer;

async fn server(proxy: &str) -> TestServer {
    let only_from = Some(TrustedProxies::new(vec![proxy.parse().expect("a network")]));
    TestServer::builder().entrance(Entrance { only_from, ..Entrance::default() }).start().await
}

#[tokio::test]
async fn who_is_not_the_proxy_is_hung_up_on() {
    // req A1
    let server = server("192.0.2.1/32").await;
    server.get("/healthz").send().await.expect_err("no answer at all");
}

#[tokio::test]
async fn the_proxy_is_let_in() {
    // req A1
    let server = server("127.0.0.0/8").await;
    assert_eq!(server.get("/healthz").send().await.expect("an answer").status(), 200);
}
