//! Data, configuration and keys of the version whose schema was 2 are opened, and everything in them holds.

use std::path::Path;

use serde_json::{Value, json};

use crate::process::{PASSWORD, Place, Process, log_in, refresh};

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/schema-2");

/// A folder with all of it; only the port is another.
fn yesterday() -> Place {
    let place = Place::new("");
    for name in ["usher.db", "usher.db.audit-key", "audit.jsonl", "usher-signing-key.pem"] {
        place.write_bytes(name, &std::fs::read(Path::new(FIXTURE).join(name)).expect("the fixture"));
    }
    let config = std::fs::read_to_string(Path::new(FIXTURE).join("usher.toml")).expect("the fixture");
    place.write("usher.toml", &config.replace("listen = \"127.0.0.1:18080\"", "listen = \"127.0.0.1:0\""));
    place
}

fn credentials() -> Value {
    let text = std::fs::read_to_string(Path::new(FIXTURE).join("credentials.json")).expect("the fixture");
    serde_json::from_str(&text).expect("JSON")
}

async fn session(http: &reqwest::Client, server: &Process, header: &str, value: &str) -> u16 {
    let request = http.get(format!("{}auth/session", server.url)).header(header, value);
    request.send().await.expect("an answer").status().as_u16()
}

async fn status_of_login(http: &reqwest::Client, server: &Process, user: &str, password: &str) -> u16 {
    let request = http.post(format!("{}auth/login", server.url)).json(&json!({"user": user, "pwd": password}));
    request.send().await.expect("an answer").status().as_u16()
}

#[tokio::test]
async fn yesterdays_data_and_configuration_keep_working() {
    let place = yesterday();
    let credentials = credentials();
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    place.run(&["check"]);
    let server = place.start();
    let url = server.url.to_string();

    // What was good is good.
    let cookie = format!("usher={}", text(&credentials["alice"]["cookie"]));
    assert_eq!(session(&http, &server, "cookie", &cookie).await, 200);
    assert_eq!(session(&http, &server, "x-api-key", &text(&credentials["alice_key"])).await, 200);
    for token in [&credentials["alice"]["refresh_token"], &credentials["rotated_refresh_token"]] {
        let renewed = refresh(&http, &url, &text(token)).await.expect("an answer").expect("it is good");
        let bearer = format!("Bearer {}", renewed.access);
        assert_eq!(session(&http, &server, "authorization", &bearer).await, 200);
    }
    assert_eq!(status_of_login(&http, &server, "dave", "another correct horse 3").await, 200);

    // What had ended has ended.
    assert_eq!(status_of_login(&http, &server, "dave", PASSWORD).await, 401);
    for ended in ["bob", "dave"] {
        let token = text(&credentials[ended]["refresh_token"]);
        assert_eq!(refresh(&http, &url, &token).await.expect("an answer").expect_err(ended), 400);
    }

    // A user who was disabled is, until enabled; one who was disabled and removed is a new user when added again.
    assert_eq!(status_of_login(&http, &server, "bob", PASSWORD).await, 401);
    place.run(&["user", "enable", "bob"]);
    place.add_user("carol");
    for user in ["bob", "carol"] {
        let tokens = log_in(&http, &url, user).await.expect("an answer");
        let bearer = format!("Bearer {}", tokens.access);
        assert_eq!(session(&http, &server, "authorization", &bearer).await, 200, "{user}");
    }

    assert!(place.run(&["audit", "verify"]).contains("hold"), "the chains go on");
    server.signal("TERM");
    assert_eq!(tokio::task::spawn_blocking(|| server.wait()).await.expect("no panic"), Some(0));
    assert!(!place.has("usher.db-wal"), "everything is in the one file");
    place.run(&["audit", "verify"]);
}
