//! Secrets in the wrong place of a SockJS message, and a session's id: none of them comes out, and the operator reads what was wrong
//! (req N3, S1).

use serde_json::{Value, json};
use usher_testkit::{TestClient, Upgrade};

use super::Desk;
use super::canary::{Canaries, Talkative};

const CONFIG: &str = r#"
[server]
listen = "127.0.0.1:0"
public_url = "http://127.0.0.1:8080"
[admin]
listen = "127.0.0.1:0"
[audit]
sinks = ["store", "file:audit.jsonl", "stdout"]
[sockjs]
octoprint = { enabled = true }
[limits.failures]
per_account = "10000/min"
per_source = "10000/min"
"#;

/// How clients put a secret where it should not be, in the form in which the operator reads of it.
const MISTAKES: [(&str, &str); 7] = [
    (r#"{"auth":"alice:SECRET"}"#, "{auth: a text with a colon}"),
    (r#"[{"auth":"alice:SECRET"}]"#, "[{auth: a text with a colon}]"),
    (r#"["{\"auth\":\"SECRET\"}"]"#, "{auth: a text without a colon}"),
    (r#"["{\"auth\":{\"user\":\"alice\",\"key\":\"SECRET\"}}"]"#, "{auth: {(another name): a text without a colon"),
    (r#"["{\"SECRET\":1}"]"#, "{(another name): a number}"),
    (r#"["{\"auth\":\"alice:x\",\"SECRET\":1}"]"#, "(another name): a number"),
    (r#"["auth=SECRET"]"#, "bytes that are not JSON"),
];

#[tokio::test]
async fn s1_the_log_shows_the_shape_of_a_mistake_and_no_secret_comes_out() {
    let desk = Desk::with(CONFIG);
    let mut canaries = Canaries::default();
    let password = canaries.hatch();
    let args = ["user", "add", "alice", "--name", "Alice", "--password-stdin", "--config", "usher.toml"];
    assert_eq!(desk.usher_with_input(&args, &password).code, 0);
    let key = desk.usher(&["key", "add", "--user", "alice", "--config", "usher.toml"]).stdout;
    let key = canaries.keep(key.trim());
    let server = Talkative::start(&desk);
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let mut answers = String::new();

    let login =
        http.post(server.base.join("/api/login").expect("a path")).json(&json!({"user": "alice", "pass": password}));
    let login: Value = login.send().await.expect("an answer").json().await.expect("JSON");
    let session_key = canaries.keep(login["session"].as_str().expect("a session key"));
    for wrong in [json!({"user": canaries.hatch(), "pass": canaries.hatch()}), json!({"passive": canaries.hatch()})] {
        let answer = http.post(server.base.join("/api/login").expect("a path")).json(&wrong).send().await;
        answers += &answer.expect("an answer").text().await.expect("text");
    }

    // Over a WebSocket, with the session's id in its address.
    for secret in [key.clone(), session_key.clone(), canaries.hatch()] {
        for (mistake, _) in MISTAKES {
            let mut socket = open(&server, &mut canaries).await;
            socket.send_text(&mistake.replace("SECRET", &secret)).await;
            answers += &listen(&mut socket).await;
        }
    }
    let mut socket = open(&server, &mut canaries).await;
    socket.send_text(&json!([json!({"auth": format!("alice:{session_key}")}).to_string()]).to_string()).await;
    while !answers.contains("history") {
        answers += &listen(&mut socket).await;
    }
    let wrong = canaries.hatch();
    socket.send_text(&json!([json!({"auth": format!("alice:{wrong}")}).to_string()]).to_string()).await;
    answers += &listen(&mut socket).await;

    // Over requests.
    let id = canaries.hatch();
    for (segment, body) in [
        ("xhr", String::new()),
        ("xhr_send", format!("[{{\"auth\":\"alice:{key}\"}}]")),
        ("xhr_send", format!("{{\"auth\":\"alice:{}\"}}", canaries.hatch())),
        ("xhr", String::new()),
        ("xhr_send", format!("[\"{{\\\"auth\\\":\\\"alice:{}\\\"}}", canaries.hatch())),
        ("nothing", String::new()),
    ] {
        let url = server.base.join(&format!("/sockjs/000/{id}/{segment}")).expect("a path");
        let answer = http.post(url).body(body).send().await.expect("an answer");
        answers += &answer.text().await.expect("text");
    }
    let foreign = server.base.join(&format!("/sockjs/000/{id}/xhr")).expect("a path");
    let foreign = http.post(foreign).header("origin", "http://evil.test").send().await.expect("an answer");
    assert_eq!(foreign.status(), 403);
    answers += &foreign.text().await.expect("text");

    let metrics = http.get(server.admin.join("/metrics").expect("a path")).send().await.expect("an answer");
    let metrics = metrics.text().await.expect("text");
    let tail = desk.usher(&["audit", "tail", "-n", "1000", "--json", "--config", "usher.toml"]);
    let (log, out) = server.stop();
    for (_, shape) in MISTAKES {
        assert!(log.contains(shape), "{shape} is not in the log");
    }
    canaries.assert_absent("the answers", answers.as_bytes());
    canaries.assert_absent("the metrics", metrics.as_bytes());
    canaries.assert_absent("usher audit tail", tail.stdout.as_bytes());
    canaries.assert_absent("the log", log.as_bytes());
    canaries.assert_absent("standard output", out.as_bytes());
    for entry in std::fs::read_dir(desk.path()).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            canaries.assert_absent(&path.display().to_string(), &std::fs::read(&path).expect("a file"));
        }
    }
}

async fn open(server: &Talkative, canaries: &mut Canaries) -> TestClient {
    let path = format!("/sockjs/000/{}/websocket", canaries.hatch());
    let mut socket = Upgrade::at(path).connect(&server.base).await.expect("a session");
    for expected in ["o", "a[{\"connected\""] {
        let frame = socket.next_text().await.expect("a frame");
        assert!(frame.starts_with(expected), "{frame}");
    }
    socket
}

/// The next frame, or how it ended.
async fn listen(socket: &mut TestClient) -> String {
    match socket.next_text().await {
        Ok(frame) => frame,
        Err(closed) => format!("{closed:?}"),
    }
}
