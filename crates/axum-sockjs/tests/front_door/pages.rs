//! What is there without a session: greeting, `/info`, the iframe page, and the headers of every answer.

use axum_sockjs::{AllowedOrigins, Config};

use super::world::World;

#[tokio::test]
async fn the_greeting() {
    let world = World::new().await;
    for path in ["/s", "/s/"] {
        let answer = world.client.get(path).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=UTF-8"));
        assert_eq!(answer.body().await, "Welcome to SockJS!\n");
    }
}

#[tokio::test]
async fn a_service_stands_at_any_depth() {
    for (base, prefix) in [("/", ""), ("", ""), ("/a/b/c", "/a/b/c"), ("/a/", "/a")] {
        let world = World::at(base).await;
        assert_eq!(world.client.get(&format!("{prefix}/")).await.status, 200, "{base}");
        assert_eq!(world.client.get(&format!("{prefix}/info")).await.status, 200, "{base}");
        assert_eq!(world.client.post(&format!("{prefix}/0/a/xhr"), "").await.body().await, "o\n", "{base}");
        assert_eq!(world.client.get(&format!("{prefix}//")).await.status, 404, "{base}");
    }
}

#[tokio::test]
async fn what_is_nothing_is_404() {
    let world = World::new().await;
    for path in ["/s/a", "/s/a.html", "/s//", "/s///", "/s/a/a", "/s/a/a/", "/s///xhr", "/s/a./a/xhr", "/s/a/a./xhr"] {
        assert_eq!(world.client.get(path).await.status, 404, "{path}");
        assert_eq!(world.client.post(path, "").await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn the_iframe_page_can_be_kept_and_switched_off() {
    let world = World::new().await;
    let answer = world.client.get("/s/iframe-1.6.1.html?t=1").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("cache-control"), Some("public, max-age=31536000"));
    assert!(answer.header("expires").is_some());
    let etag = answer.header("etag").unwrap().to_owned();
    assert!(answer.body().await.contains("SockJS.bootstrap_iframe();"));

    let again = world.client.with("If-None-Match", &etag).get("/s/iframe.html").await;
    assert_eq!((again.status, again.header("content-type")), (304, None));

    let mut config = Config::default();
    config.transports.iframe = false;
    assert_eq!(World::with(config).await.client.get("/s/iframe.html").await.status, 404);
}

#[tokio::test]
async fn info_tells_what_there_is() {
    let world = World::new().await;
    let answer = world.client.get("/s/info").await;
    assert_eq!(answer.header("content-type"), Some("application/json; charset=UTF-8"));
    assert_eq!(answer.header("cache-control"), Some(NOT_STORED));
    let first: serde_json::Value = serde_json::from_str(&answer.body().await).unwrap();
    assert_eq!(first["websocket"], true);
    assert_eq!(first["cookie_needed"], false);
    assert_eq!(first["origins"], serde_json::json!(["*:*"]));
    let second: serde_json::Value = serde_json::from_str(&world.client.get("/s/info").await.body().await).unwrap();
    assert_ne!(first["entropy"], second["entropy"]);

    let mut config = Config::default();
    config.transports.websocket = false;
    let world = World::with(config).await;
    assert!(world.client.get("/s/info").await.body().await.contains("\"websocket\":false"));
    assert_eq!(world.client.refused_websocket("/s/0/0/websocket").await, 404);
}

const NOT_STORED: &str = "no-store, no-cache, no-transform, must-revalidate, max-age=0";

#[tokio::test]
async fn no_answer_of_a_session_is_stored() {
    let mut world = World::new().await;
    let answer = world.client.post("/s/0/a/xhr", "").await;
    assert_eq!(answer.header("cache-control"), Some(NOT_STORED));
    let _session = world.session().await;
    let answer = world.client.post("/s/0/a/xhr_send", "[]").await;
    assert_eq!(answer.header("cache-control"), Some(NOT_STORED));
}

#[tokio::test]
async fn a_wrong_method_is_405_with_allow_and_nothing_else() {
    let world = World::new().await;
    for (method, path, allow) in [
        ("POST", "/s/0/0/websocket", "GET"),
        ("GET", "/s/0/0/xhr", "OPTIONS, POST"),
        ("GET", "/s/0/0/xhr_send", "OPTIONS, POST"),
        ("POST", "/s/0/0/eventsource", "OPTIONS, GET"),
        ("POST", "/s/info", "OPTIONS, GET"),
        ("DELETE", "/s", "GET"),
    ] {
        let answer = world.client.send(method, path, "").await;
        assert_eq!(answer.status, 405, "{path}");
        assert_eq!(answer.header("allow"), Some(allow), "{path}");
        assert_eq!(answer.header("content-type"), None, "{path}");
        assert_eq!(answer.body().await, "", "{path}");
    }
}

#[tokio::test]
async fn a_preflight_is_answered_for_a_year() {
    let world = World::new().await;
    for (path, methods) in
        [("/s/info", "OPTIONS, GET"), ("/s/a/a/xhr", "OPTIONS, POST"), ("/s/a/a/xhr_streaming", "OPTIONS, POST")]
    {
        let client = world.client.with("Origin", "null").with("Access-Control-Request-Headers", "a, b, c");
        let answer = client.options(path).await;
        assert_eq!(answer.status, 204);
        assert_eq!(answer.header("access-control-allow-methods"), Some(methods));
        assert_eq!(answer.header("access-control-allow-headers"), Some("a, b, c"));
        assert_eq!(answer.header("access-control-max-age"), Some("31536000"));
        assert_eq!(answer.header("cache-control"), Some("public, max-age=31536000"));
        assert!(answer.header("expires").is_some());
    }
    let answer = world.client.with("Origin", "test").options("/s/info").await;
    assert_eq!(answer.header("access-control-allow-headers"), None);
}

#[tokio::test]
async fn an_origin_is_echoed_with_credentials_and_none_is_a_star_without() {
    let world = World::new().await;
    for origin in ["https://example.org", "null"] {
        let answer = world.client.with("Origin", origin).get("/s/info").await;
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
        assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
        assert_eq!(answer.header("vary"), Some("Origin"));
    }
    let answer = world.client.get("/s/info").await;
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!(answer.header("access-control-allow-credentials"), None);
}

#[tokio::test]
async fn an_origin_that_is_not_listed_may_not_read() {
    let listed = AllowedOrigins::List(vec!["https://good.example".to_owned()]);
    let asked = AllowedOrigins::Where(std::sync::Arc::new(|origin| origin == "https://good.example"));
    for allowed_origins in [listed, asked] {
        let world = World::with(Config { allowed_origins, ..Config::default() }).await;
        let allowed = |origin: &str| {
            let client = world.client.with("Origin", origin);
            async move {
                let answer = client.get("/s/info").await;
                answer.header("access-control-allow-origin").map(str::to_owned)
            }
        };
        assert_eq!(allowed("https://good.example").await.as_deref(), Some("https://good.example"));
        assert_eq!(allowed("https://good.example.evil").await, None);
        assert_eq!(allowed("null").await, None);
        let answer = world.client.get("/s/info").await;
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
}

#[tokio::test]
async fn jsessionid_is_set_only_where_the_service_asks_for_it() {
    let world = World::new().await;
    assert_eq!(world.client.post("/s/0/a/xhr", "").await.header("set-cookie"), None);

    let world = World::with(Config { cookie_needed: true, ..Config::default() }).await;
    assert_eq!(world.client.get("/s/info").await.header("set-cookie"), None);
    let answer = world.client.post("/s/0/a/xhr", "").await;
    assert_eq!(answer.header("set-cookie"), Some("JSESSIONID=dummy; Path=/"));
    let answer = world.client.with("Cookie", "a=b; JSESSIONID=abcdef").post("/s/0/b/xhr", "").await;
    assert_eq!(answer.header("set-cookie"), Some("JSESSIONID=abcdef; Path=/"));
}
