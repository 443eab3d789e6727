//! `/api/…` as OctoPrint's clients call it: the shapes they read, and the same decisions as at `/auth/…`.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use usher_auth::protocol::SockJsDialect;
use usher_testkit::{LoggedIn, TestServer, Upgrade, sockjs};

const PASSWORD: &str = "correct horse battery staple";
const EVIL: &str = "http://evil.test";
const GUEST: &str = r#"{"needs":{},"_is_external_client":false,"_credentials_seen":false}"#;

/// A server with an endpoint for OctoPrint's clients.
async fn start() -> TestServer {
    let endpoint = sockjs(SockJsDialect { lenient: true, octoprint: true });
    TestServer::builder().settings(|settings| settings.sockjs = Some(endpoint)).start().await
}

async fn answer(request: RequestBuilder) -> (u16, Value, Response) {
    let mut answer = request.send().await.expect("an answer");
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.expect("a body") {
        body.extend_from_slice(&chunk);
    }
    (answer.status().as_u16(), serde_json::from_slice(&body).expect("JSON"), answer)
}

fn password(server: &TestServer) -> RequestBuilder {
    server.post("/api/login").json(&json!({"user": "user-alice", "pass": PASSWORD, "remember": true}))
}

fn passive(server: &TestServer) -> RequestBuilder {
    server.post("/api/login").json(&json!({"passive": true}))
}

fn form(server: &TestServer, fields: &[(&str, &str)]) -> RequestBuilder {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    server.post("/api/login").header("content-type", "application/x-www-form-urlencoded").body(body)
}

fn with_cookie(request: RequestBuilder, cookie: &str) -> RequestBuilder {
    request.header("origin", "http://app.test").header("cookie", format!("usher={cookie}"))
}

async fn alice(server: &TestServer) -> LoggedIn {
    server.user("user-alice", "Alice").await
}

/// What a session key says, without looking at its signature.
fn claims_of(key: &str) -> (Value, Value) {
    let token = key.strip_prefix("uso_").expect("the prefix of a session key");
    let part = |n: usize| URL_SAFE_NO_PAD.decode(token.split('.').nth(n).expect("a part")).expect("base64url");
    (serde_json::from_slice(&part(0)).expect("JSON"), serde_json::from_slice(&part(1)).expect("JSON"))
}

async fn session_of(server: &TestServer, cookie: &str) -> Value {
    let request = server.get("/auth/session").header("cookie", format!("usher={cookie}"));
    answer(request).await.1["session"].clone()
}

#[tokio::test]
async fn a_password_for_a_session_its_cookie_and_its_key() {
    let server = start().await;
    server.db_add_user("user-alice", "Alice", &["user", "admin"]).await;
    let (status, body, head) = answer(password(&server)).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(head.headers()["cache-control"], "no-store");
    let cookie = head.headers()["set-cookie"].to_str().expect("text").to_owned();
    assert!(cookie.starts_with("usher=uss_") && cookie.contains("HttpOnly") && !cookie.contains("Max-Age"), "{cookie}");
    let key = body["session"].as_str().expect("a key").to_owned();
    let mut shown = body.clone();
    shown["session"] = Value::Null;
    assert_eq!(
        shown,
        json!({
            "name": "user-alice", "session": null, "active": true, "user": true, "admin": true, "apikey": null,
            "roles": ["admin", "user"], "groups": ["admins", "users"], "permissions": [], "settings": {},
            "needs": {"role": ["admin", "user"]}, "_is_external_client": false, "_login_mechanism": "password",
            "_credentials_seen": false,
        })
    );
    let cookie = cookie.split(';').next().and_then(|pair| pair.split_once('=')).expect("a cookie").1.to_owned();
    let (header, claims) = claims_of(&key);
    assert_eq!(header["typ"], "usher-session-key+jwt");
    assert_eq!((&claims["sub"], &claims["sid"]), (&json!("user-alice"), &session_of(&server, &cookie).await));
    let end = claims["exp"].as_i64().expect("a date") - claims["iat"].as_i64().expect("a date");
    assert_eq!(Duration::from_secs(end.unsigned_abs()), Duration::from_hours(24), "the session's idle limit");
    assert!(claims.get("roles").is_none() && claims.get("name").is_none());
}

#[tokio::test]
async fn the_log_in_of_the_command_line_is_a_form() {
    let server = start().await;
    alice(&server).await;
    let (_, key) = server.db_api_key("user-alice", None).await;
    let (status, body, _) = answer(form(&server, &[("passive", "True")]).header("x-api-key", &key)).await;
    assert_eq!((status, &body["name"], &body["session"]), (200, &json!("user-alice"), &json!(key)), "{body}");
    assert_eq!(body["_login_mechanism"], "apikey");
    // The key alone goes behind the name, however it came.
    let named = passive(&server).header("x-api-key", format!("user-alice:{key}"));
    assert_eq!(answer(named).await.1["session"], key);
    let fields = [("user", "user-alice"), ("pass", PASSWORD), ("remember", "yes")];
    let (status, body, _) = answer(form(&server, &fields)).await;
    assert_eq!((status, &body["admin"], &body["groups"]), (200, &json!(false), &json!(["users"])), "{body}");
}

#[tokio::test]
async fn a_passive_log_in_says_who_the_caller_is() {
    let server = start().await;
    let alice = alice(&server).await;
    let (status, body, head) = answer(with_cookie(passive(&server), &alice.cookie)).await;
    assert_eq!((status, &body["name"], &body["_login_mechanism"]), (200, &json!("user-alice"), &json!("password")));
    assert!(!head.headers().contains_key("set-cookie"), "the session is the one there was");
    let (_, claims) = claims_of(body["session"].as_str().expect("a key"));
    assert_eq!(claims["sid"], session_of(&server, &alice.cookie).await);
    // A token is good for minutes and its session for days: nothing longer is handed out for it.
    let (status, body, _) = answer(passive(&server).bearer_auth(&alice.token)).await;
    assert_eq!((status, &body["name"], &body["session"]), (200, &json!("user-alice"), &json!(alice.token)));
    assert_eq!(body["_login_mechanism"], "authheader");
}

#[tokio::test]
async fn who_brings_nothing_is_a_guest() {
    let server = start().await;
    let alice = alice(&server).await;
    let guest: Value = serde_json::from_str(GUEST).expect("JSON");
    let (status, body, _) = answer(passive(&server)).await;
    assert_eq!((status, body), (200, guest.clone()));
    // A browser whose session is over is a guest, too, and rid of its cookie.
    server.post("/auth/logout").bearer_auth(&alice.token).send().await.expect("an answer");
    let (status, body, head) = answer(with_cookie(passive(&server), &alice.cookie)).await;
    assert_eq!((status, body), (200, guest));
    assert!(head.headers()["set-cookie"].to_str().expect("text").contains("Max-Age=0"));
}

#[tokio::test]
async fn what_does_not_hold_is_403_and_all_alike() {
    // req K3
    let server = start().await;
    alice(&server).await;
    server.db_add_user("user-off", "Off", &["user"]).await;
    server.db_disable("user-off").await;
    let mut answers = std::collections::BTreeSet::new();
    for (user, pass) in [("user-alice", "wrong"), ("nobody", "wrong"), ("user-off", PASSWORD), ("a:b", "x"), ("", "")] {
        let (status, body, head) = answer(server.post("/api/login").json(&json!({"user": user, "pass": pass}))).await;
        assert_eq!(status, 403, "{user}");
        assert_eq!((&body["status"], &body["code"]), (&json!(403), &json!("invalid_credentials")));
        assert_eq!(head.headers()["content-type"], "application/problem+json");
        assert!(!head.headers().contains_key("set-cookie") && !head.headers().contains_key("www-authenticate"));
        answers.insert(body.to_string());
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
    let wrong = format!("usk_{}", "A".repeat(43));
    for request in [passive(&server), server.get("/api/version"), server.post("/api/logout")] {
        let by_key = request.try_clone().expect("a request").header("x-api-key", &wrong);
        assert_eq!(answer(by_key).await.0, 403);
        assert_eq!(answer(request.bearer_auth("a.b.c")).await.0, 403);
    }
    assert_eq!(answer(server.get("/api/version")).await.0, 403, "without a key there is no version");
}

#[tokio::test]
async fn guessing_is_throttled_and_recorded_as_at_auth_login() {
    // req K2
    let server = start().await;
    alice(&server).await;
    let guess = || answer(server.post("/api/login").json(&json!({"user": "user-alice", "pass": "wrong"})));
    let mut statuses = Vec::new();
    for _ in 0..12 {
        statuses.push(guess().await.0);
    }
    assert_eq!((statuses[9], statuses[11]), (403, 429), "{statuses:?}");
    let (status, _, head) = answer(password(&server)).await;
    assert!(status == 429 && head.headers().contains_key("retry-after"), "a right guess looks like a wrong one");
    let records = server.audit_records().await;
    let failed =
        records.iter().filter(|record| record["event"].as_str().is_some_and(|event| event.contains("login_fail")));
    assert!(failed.count() >= 2, "{records:?}");
    assert!(!format!("{records:?}").contains("wrong\""));
}

#[tokio::test]
async fn a_log_in_takes_the_place_of_the_browsers_session() {
    // req J2
    let server = start().await;
    let before = alice(&server).await;
    let (status, ..) = answer(with_cookie(password(&server), &before.cookie)).await;
    assert_eq!(status, 200);
    assert_eq!(answer(server.get("/auth/session").bearer_auth(&before.token)).await.0, 401, "the old one has ended");
}

#[tokio::test]
async fn a_log_out_ends_the_session_and_its_sockets() {
    let server = start().await;
    let alice = alice(&server).await;
    let mut socket = server.enter(Upgrade::at("/ws").bearer(&alice.token)).await;
    let (status, body, head) = answer(with_cookie(server.post("/api/logout").json(&json!({})), &alice.cookie)).await;
    assert_eq!((status, body.to_string()), (200, serde_json::from_str::<Value>(GUEST).expect("JSON").to_string()));
    assert!(head.headers()["set-cookie"].to_str().expect("text").contains("Max-Age=0"));
    assert_eq!(socket.closed().await.1.code, 4004);
    assert_eq!(answer(server.get("/auth/session").bearer_auth(&alice.token)).await.0, 401);
    // Once more, and by somebody who never was in.
    for request in [with_cookie(server.post("/api/logout"), &alice.cookie), server.post("/api/logout").json(&json!({}))]
    {
        assert_eq!(answer(request).await.0, 200);
    }
    let (_, key) = server.db_api_key("user-alice", None).await;
    let (status, body, _) = answer(server.post("/api/logout").header("x-api-key", &key)).await;
    assert_eq!((status, &body["code"]), (400, &json!("no_session")));
}

#[tokio::test]
async fn clients_ask_the_version_to_try_their_key() {
    let server = start().await;
    alice(&server).await;
    let (_, key) = server.db_api_key("user-alice", None).await;
    let (status, body, _) = answer(server.get("/api/version").header("x-api-key", &key)).await;
    assert_eq!((status, &body["api"]), (200, &json!("0.1")));
    let version = body["server"].as_str().expect("text");
    assert!(version.split('.').all(|part| part.parse::<u32>().is_ok()), "octorest compares {version} by its numbers");
}

#[tokio::test]
async fn a_foreign_page_can_neither_log_in_nor_out() {
    // req B5
    let server = start().await;
    let alice = alice(&server).await;
    let fields = [("user", "user-alice"), ("pass", PASSWORD)];
    for origin in [EVIL, "null", "http://app.test.evil.test"] {
        for request in [
            password(&server),
            passive(&server),
            form(&server, &fields),
            form(&server, &[("passive", "true")]),
            server.post("/api/logout"),
        ] {
            let request = request.header("origin", origin).header("cookie", format!("usher={}", alice.cookie));
            let (status, body, head) = answer(request).await;
            assert_eq!((status, &body["code"]), (403, &json!("origin_not_allowed")), "{origin}");
            assert!(!head.headers().contains_key("set-cookie"));
        }
    }
    // req B4: a form needs no leave to be sent, so the absence of an Origin is not taken for a script's.
    for site in ["cross-site", "same-site", "nonsense"] {
        let request = form(&server, &fields).header("sec-fetch-site", site);
        assert_eq!(answer(request).await.0, 403, "{site}");
    }
    for site in ["same-origin", "none"] {
        let request = form(&server, &fields).header("sec-fetch-site", site);
        assert_eq!(answer(request).await.0, 200, "{site}");
    }
    assert_eq!(answer(server.get("/auth/session").bearer_auth(&alice.token)).await.0, 200, "nothing happened to alice");
}

#[tokio::test]
async fn a_cookie_without_an_origin_hands_out_no_key() {
    // req B3
    let server = start().await;
    let alice = alice(&server).await;
    let cookie = format!("usher={}", alice.cookie);
    for path in ["/api/login", "/api/logout"] {
        let request = server.post(path).header("cookie", &cookie);
        let request = if path == "/api/login" { request.json(&json!({"passive": true})) } else { request };
        let (status, body, _) = answer(request).await;
        assert_eq!((status, &body["code"]), (403, &json!("origin_not_allowed")), "{path}");
    }
    let both = with_cookie(passive(&server), &alice.cookie).bearer_auth(&alice.token).header("x-api-key", "x");
    assert_eq!(answer(both).await.0, 400, "two credentials are one too many");
}

#[tokio::test]
async fn bodies_are_strict_and_not_quoted() {
    // req O2
    let server = start().await;
    let secret = "hunter2hunter2";
    let form = "application/x-www-form-urlencoded";
    for (what, kind, body, expected) in [
        ("nothing", "application/json", String::new(), 400),
        ("an empty object", "application/json", "{}".to_owned(), 400),
        ("a user alone", "application/json", r#"{"user":"a"}"#.to_owned(), 400),
        ("a password alone", form, format!("pass={secret}"), 400),
        ("both ways", "application/json", format!(r#"{{"user":"a","pass":"{secret}","passive":true}}"#), 400),
        ("passive that is not", "application/json", r#"{"passive":false}"#.to_owned(), 400),
        ("passive that is neither", form, format!("passive={secret}"), 400),
        ("an unknown field", "application/json", format!(r#"{{"user":"a","pass":"{secret}","x":1}}"#), 400),
        ("an unknown field", form, format!("user=a&pass={secret}&x=1"), 400),
        ("a field twice", form, format!("user=a&pass={secret}&pass=b"), 400),
        ("an array", "application/json", format!(r#"["a","{secret}"]"#), 400),
        ("broken JSON", "application/json", format!(r#"{{"user":"a","pass":"{secret}"#), 400),
        ("plain text", "text/plain", format!(r#"{{"user":"a","pass":"{secret}"}}"#), 415),
        ("several parts", "multipart/form-data; boundary=x", secret.to_owned(), 415),
        ("too much", form, format!("user=a&pass={}", "b".repeat(20_000)), 413),
    ] {
        let request = server.post("/api/login").header("content-type", kind).body(body);
        let (status, body, _) = answer(request).await;
        assert_eq!(status, expected, "{what}: {body}");
        assert!(!body.to_string().contains(secret), "{what}: {body}");
    }
}

#[tokio::test]
async fn no_credential_in_a_url() {
    // req C3
    let server = start().await;
    alice(&server).await;
    let (_, key) = server.db_api_key("user-alice", None).await;
    for (path, method) in [("/api/version", "GET"), ("/api/login", "POST"), ("/api/logout", "POST")] {
        for name in ["apikey", "ApiKey", "token", "pass", "user"] {
            let url = server.at(&format!("{path}?_=1&{name}={key}"));
            let request = server.http.request(method.parse().expect("a method"), url);
            let (status, body, _) = answer(request.header("x-api-key", &key)).await;
            assert_eq!((status, &body["code"]), (400, &json!("credentials_in_query")), "{path} {name}");
            assert!(
                body["detail"].as_str().is_some_and(|detail| detail.contains("X-Api-Key"))
                    && !body.to_string().contains(&key)
            );
        }
    }
    // What browsers add against caches is no credential.
    assert_eq!(answer(server.get("/api/version?_=17").header("x-api-key", &key)).await.0, 200);
}

#[tokio::test]
async fn without_the_convention_there_is_no_such_path() {
    let (_, document, _) = answer(start().await.get("/openapi.json")).await;
    assert!(document["paths"]["/auth/login"].is_object() && document["paths"]["/api/login"].is_object());
    let server = TestServer::start().await;
    for path in ["/api/login", "/api/logout", "/api/version"] {
        assert_eq!(answer(server.post(path)).await.0, 404, "{path}");
    }
    let (_, document, _) = answer(server.get("/openapi.json")).await;
    assert!(document["paths"]["/auth/login"].is_object() && document["paths"]["/api/login"].is_null());
}
