//! Foreign pages (req B5): they can neither log a visitor in or out nor read what is the visitor's.

use serde_json::json;
use usher_testkit::TestServer;

const EVIL: &str = "http://evil.test";

#[tokio::test]
async fn a_foreign_page_gets_403_whatever_it_brings() {
    // req B5
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let login = json!({"user": "user-alice", "pwd": "correct horse battery staple"});
    let requests = [
        ("log in", server.post("/auth/login").json(&login)),
        ("log out", server.post("/auth/logout")),
        ("refresh", server.post("/auth/refresh")),
        ("buy a ticket", server.post("/ws_ticket")),
        ("basic", server.get("/auth").basic_auth("user-alice", Some("correct horse battery staple"))),
    ];
    for (what, request) in requests {
        for origin in [EVIL, "null", "http://app.test.evil.test"] {
            let request = request.try_clone().expect("a request").header("origin", origin);
            let answer = request.header("cookie", format!("usher={}", alice.cookie)).send().await.expect("an answer");
            assert_eq!(answer.status(), 403, "{what} from {origin}");
            assert!(!answer.headers().contains_key("access-control-allow-origin"), "{what} from {origin}");
        }
    }
    let session = server.get("/auth/session").header("cookie", format!("usher={}", alice.cookie));
    assert_eq!(session.send().await.expect("an answer").status(), 200, "nothing happened to the session");
}

#[tokio::test]
async fn only_allowed_pages_may_read_answers() {
    // req B5
    let server = TestServer::start().await;
    let preflight = |origin: &'static str| {
        let options = server.http.request(reqwest::Method::OPTIONS, server.at("/auth/login"));
        options
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type")
            .send()
    };
    let allowed = preflight("http://app.test").await.expect("an answer");
    assert_eq!(allowed.headers()["access-control-allow-origin"], "http://app.test");
    assert_eq!(allowed.headers()["access-control-allow-credentials"], "true");
    let evil = preflight(EVIL).await.expect("an answer");
    assert!(!evil.headers().contains_key("access-control-allow-origin"));
}
