//! `jsonp` and `jsonp_send`, which are off unless asked for.

use axum_sockjs::Config;

use super::world::{World, message};

async fn with_jsonp() -> World {
    let mut config = Config::default();
    config.transports.jsonp = true;
    World::with(config).await
}

#[tokio::test]
async fn off_by_default() {
    let world = World::new().await;
    assert_eq!(world.client.get("/s/0/a/jsonp?c=x").await.status, 404);
    assert_eq!(world.client.post("/s/0/a/jsonp_send", "d=[]").await.status, 404);
}

#[tokio::test]
async fn a_session_over_scripts() {
    let mut world = with_jsonp().await;
    let answer = world.client.get("/s/0/a/jsonp?c=%63allback").await;
    assert_eq!(answer.header("content-type"), Some("application/javascript; charset=UTF-8"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.body().await, "/**/callback(\"o\");\r\n");
    let (mut session, _) = world.session().await;

    let form = world.client.with("Content-Type", "application/x-www-form-urlencoded");
    let answer = form.post("/s/0/a/jsonp_send", "d=%5B%22x%22%5D").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body().await, "ok");
    assert_eq!(message(&mut session).await, "x");
    let plain = world.client.with("Content-Type", "text/plain");
    assert_eq!(plain.post("/s/0/a/jsonp_send", "[\"%61\"]").await.status, 200);
    assert_eq!(message(&mut session).await, "%61");

    for (body, text) in [
        ("d=%5B%22x", "Broken JSON encoding.\n"),
        ("", "Payload expected.\n"),
        ("d=", "Payload expected.\n"),
        ("p=p", "Payload expected.\n"),
    ] {
        let answer = form.post("/s/0/a/jsonp_send", body).await;
        assert_eq!(answer.status, 500, "{body}");
        assert_eq!(answer.body().await, text, "{body}");
    }

    session.send("y").unwrap();
    assert_eq!(world.client.get("/s/0/a/jsonp?c=x").await.body().await, "/**/x(\"a[\\\"y\\\"]\");\r\n");
}

#[tokio::test]
async fn a_callback_is_wanted() {
    let world = with_jsonp().await;
    assert!(world.client.get("/s/0/a/jsonp").await.body().await.contains("required"));
    assert!(world.client.get("/s/0/a/jsonp?c=alert(1)").await.body().await.contains("invalid"));
}
