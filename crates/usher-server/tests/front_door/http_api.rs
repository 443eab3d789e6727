//! The HTTP API beyond what the scenarios use.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use usher_store::memory::MemoryStore;
use usher_testkit::TestServer;

#[tokio::test]
async fn the_answer_of_a_log_in() {
    // req J8, K3
    let server = TestServer::start().await;
    server.db_add_user("user-alice", "Alice", &["user"]).await;
    let answer = server.post("/auth/login").json(&json!({"user": "user-alice", "pwd": "correct horse battery staple"}));
    let answer = answer.send().await.expect("an answer");
    assert_eq!(answer.headers()["cache-control"], "no-store");
    assert!(answer.headers()["set-cookie"].len() <= 4096);
    let body: Value = answer.json().await.expect("JSON");
    assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("Bearer"), &json!(600)));
    assert_eq!(body["user"], json!({"id": "user-alice", "name": "Alice"}));
    assert_eq!(body.as_object().expect("an object").len(), 5);
}

#[tokio::test]
async fn every_failed_log_in_looks_alike() {
    // req K3
    let server = TestServer::start().await;
    server.db_add_user("user-alice", "Alice", &["user"]).await;
    server.db_add_user("user-off", "Off", &["user"]).await;
    server.db_disable("user-off").await;
    let mut answers = std::collections::BTreeSet::new();
    for (user, pwd) in [
        ("user-alice", "wrong"),
        ("nobody", "wrong"),
        ("user-off", "correct horse battery staple"),
        ("a:b", "x"),
        ("", ""),
    ] {
        let answer =
            server.post("/auth/login").json(&json!({"user": user, "pwd": pwd})).send().await.expect("an answer");
        assert_eq!(answer.status(), 401, "{user}");
        assert!(answer.headers().contains_key("www-authenticate"));
        assert!(!answer.headers().contains_key("set-cookie"));
        answers.insert(answer.text().await.expect("text"));
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
}

#[tokio::test]
async fn bad_bodies_are_named_and_not_quoted() {
    // req B5, O2
    let server = TestServer::start().await;
    let secret = "hunter2hunter2";
    for (what, content_type, body, status) in [
        ("no body", "application/json", String::new(), 400),
        ("a form", "application/x-www-form-urlencoded", format!("user=a&pwd={secret}"), 415),
        ("plain text", "text/plain", format!(r#"{{"user":"a","pwd":"{secret}"}}"#), 415),
        ("broken JSON", "application/json", format!(r#"{{"user":"a","pwd":"{secret}"#), 400),
        ("a missing field", "application/json", r#"{"user":"a"}"#.to_owned(), 400),
        ("an unknown field", "application/json", format!(r#"{{"user":"a","pwd":"{secret}","admin":true}}"#), 400),
        ("a field twice", "application/json", format!(r#"{{"user":"a","username":"b","pwd":"{secret}"}}"#), 400),
        ("a wrong type", "application/json", format!(r#"{{"user":["{secret}"],"pwd":"x"}}"#), 400),
        ("not an object", "application/json", format!(r#"["a","{secret}"]"#), 401),
        ("too much", "application/json", format!(r#"{{"user":"a","pwd":"{}"}}"#, secret.repeat(5_000)), 413),
    ] {
        let answer =
            server.post("/auth/login").header("content-type", content_type).body(body).send().await.expect("an answer");
        // A JSON array is how serde also reads a struct; it must not be how we do.
        let status = if what == "not an object" { 400 } else { status };
        assert_eq!(answer.status(), status, "{what}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json", "{what}");
        assert!(!answer.text().await.expect("text").contains(secret), "{what}");
    }
}

#[tokio::test]
async fn passwords_are_taken_as_they_are() {
    // req K4
    let server = TestServer::start().await;
    let answer = server.get("/auth?user=a&password=b").send().await.expect("an answer");
    assert_eq!(answer.status(), 400);
    let answer = server.get("/auth").send().await.expect("an answer");
    assert_eq!(answer.status(), 401);
    assert_eq!(answer.headers()["www-authenticate"], "Basic realm=\"usher\", charset=\"UTF-8\"");
    for malformed in ["Basic", "Basic !!!", "Basic dXNlcg==", "Basic /w=="] {
        let answer = server.get("/auth").header("authorization", malformed).send().await.expect("an answer");
        assert_eq!(answer.status(), 400, "{malformed}");
    }
}

#[tokio::test]
async fn who_am_i() {
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let (_, key) = server.db_api_key("user-alice", None).await;
    let by_cookie = server.get("/auth/session").header("cookie", format!("usher={}", alice.cookie));
    let by_cookie: Value = by_cookie.send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(by_cookie["user"], json!({"id": "user-alice", "name": "Alice", "roles": ["user"]}));
    assert_eq!(by_cookie["carrier"], "cookie");
    let by_key: Value = server
        .get("/auth/session")
        .header("x-api-key", &key)
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    assert_eq!((&by_key["session"], &by_key["expires_at"]), (&Value::Null, &Value::Null));
    let both = server.get("/auth/session").header("x-api-key", &key).bearer_auth(&alice.token);
    assert_eq!(both.send().await.expect("an answer").status(), 400);
}

#[tokio::test]
async fn a_session_is_slid_by_its_cookie() {
    // req J4
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    server.clock.advance(Duration::from_hours(23));
    let slid = server.post_with_cookie("/auth/refresh", &alice.cookie).send().await.expect("an answer");
    assert_eq!(slid.status(), 200);
    let body: Value = slid.json().await.expect("JSON");
    assert!(body["token"].is_string() && body["refresh_token"].is_null());
    server.clock.advance(Duration::from_hours(23));
    let answer = server
        .get("/auth/session")
        .header("cookie", format!("usher={}", alice.cookie))
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 200);
    server.clock.advance(Duration::from_hours(25));
    let answer = server.post_with_cookie("/auth/refresh", &alice.cookie).send().await.expect("an answer");
    assert_eq!(answer.status(), 401);
    let nothing = server.post("/auth/refresh").send().await.expect("an answer");
    assert_eq!(nothing.status(), 401);
    let with_token = server.post("/auth/refresh").bearer_auth(&alice.token).send().await.expect("an answer");
    assert_eq!(with_token.status(), 401, "a token cannot renew itself");
}

#[tokio::test]
async fn the_published_keys_verify_our_tokens_and_hold_nothing_private() {
    // req G9
    let server = TestServer::start().await;
    let jwks: Value = server.get("/.well-known/jwks.json").send().await.expect("an answer").json().await.expect("JSON");
    let keys = jwks["keys"].as_array().expect("keys");
    assert_eq!(keys.len(), 1);
    assert_eq!(
        (&keys[0]["kty"], &keys[0]["crv"], &keys[0]["use"], &keys[0]["alg"]),
        (&json!("EC"), &json!("P-256"), &json!("sig"), &json!("ES256"))
    );
    assert!(keys[0].get("d").is_none());
    let alice = server.user("user-alice", "Alice").await;
    let header = alice.token.split('.').next().expect("a header");
    let header: Value = {
        use base64::Engine as _;
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(header).expect("base64");
        serde_json::from_slice(&bytes).expect("JSON")
    };
    assert_eq!(header["kid"], keys[0]["kid"]);
    assert_eq!(header["typ"], "at+jwt");
}

#[tokio::test]
async fn the_api_describes_itself() {
    let server = TestServer::start().await;
    let document: Value = server.get("/openapi.json").send().await.expect("an answer").json().await.expect("JSON");
    let paths = document["paths"].as_object().expect("paths");
    let mut described = std::collections::BTreeSet::new();
    for (path, operations) in paths {
        for method in operations.as_object().expect("operations").keys() {
            described.insert(format!("{} {path}", method.to_uppercase()));
            // What is described exists: it answers with something else than 404 or 405.
            let url = server.at(&path.replace("{id}", "ses_x"));
            let method = reqwest::Method::from_bytes(method.to_uppercase().as_bytes()).expect("a method");
            let status = server.http.request(method, url).send().await.expect("an answer").status().as_u16();
            assert!(!matches!(status, 404 | 405), "{path}: {status}");
        }
    }
    let expected = [
        "DELETE /auth/sessions",
        "DELETE /auth/sessions/{id}",
        "GET /.well-known/jwks.json",
        "GET /auth",
        "GET /auth/session",
        "GET /auth/sessions",
        "GET /healthz",
        "GET /readyz",
        "GET /ws_ticket",
        "POST /auth/login",
        "POST /auth/logout",
        "POST /auth/refresh",
        "POST /ws_ticket",
    ];
    assert_eq!(described.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn it_works_over_the_memory_store_alike() {
    let server = TestServer::builder().store(Arc::new(MemoryStore::default())).start().await;
    let alice = server.user("user-alice", "Alice").await;
    let ticket = server.ticket(&alice.token).await;
    server.enter(usher_testkit::Upgrade::at(format!("/only/ticket?ticket={ticket}"))).await;
    assert_eq!(server.get("/readyz").send().await.expect("an answer").status(), 200);
}
