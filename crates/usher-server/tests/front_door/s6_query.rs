//! S6: a token in the URL, on a route that lists it.

use usher_testkit::{TestServer, Upgrade};

#[tokio::test]
async fn s6_a_token_or_an_api_key_in_the_url() {
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let (_, key) = server.db_api_key("user-alice", None).await;
    for query in [
        format!("token={}", alice.token),
        format!("access_token={}", alice.token),
        format!("token={key}"),
        format!("token=user-alice:{key}"),
    ] {
        let mut client = server.connect(Upgrade::at(format!("/url?{query}"))).await.expect("let in");
        assert_eq!(client.expect("authenticated").await["carrier"], "query");
    }
}

#[tokio::test]
async fn s6_a_bad_one_is_told_to_a_browser_by_4001() {
    let server = TestServer::start().await;
    let mut client = server.connect(Upgrade::at("/url?token=a.b.c").browser()).await.expect("accepted, to be told why");
    let (frames, closed) = client.closed().await;
    assert_eq!((closed.code, closed.reason.as_str()), (4001, "Unauthorized"));
    assert_eq!(frames[0]["code"], "invalid_token");
    let refused = server.connect(Upgrade::at("/url?token=a.b.c")).await.err().expect("refused");
    assert_eq!(refused.status, 401);
}

#[tokio::test]
async fn s6_without_a_token_the_cookie_decides() {
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let mut client = server.connect(Upgrade::at("/url").cookie(&alice.cookie)).await.expect("let in");
    assert_eq!(client.expect("authenticated").await["carrier"], "cookie");
    // With one, it does not: the cookie plays no part, nor does the Origin.
    let mut client = server.connect(Upgrade::at("/url?token=a.b.c").cookie(&alice.cookie)).await.expect("accepted");
    assert_eq!(client.closed().await.1.code, 4001);
    let foreign = Upgrade::at(format!("/url?token={}", alice.token)).header("origin", "http://evil.test");
    server.enter(foreign).await;
}

#[tokio::test]
async fn s6_it_is_off_unless_the_route_lists_it() {
    // req C2
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    for query in ["token", "access_token"] {
        let refused =
            server.connect(Upgrade::at(format!("/default?{query}={}", alice.token))).await.err().expect("refused");
        assert_eq!((refused.status, refused.problem["code"].as_str()), (401, Some("carrier_disabled")));
        let detail = refused.problem["detail"].as_str().expect("a detail");
        assert!(detail.contains("\"query\"") && detail.contains("`carriers`"), "{detail}");
        assert!(!detail.contains(&alice.token));
    }
}
