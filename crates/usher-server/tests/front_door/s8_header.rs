//! S8 and the other clients that nobody here wrote: Python `websockets`, Node `ws`, Chromium.

use std::path::PathBuf;
use std::process::Stdio;

use tokio::process::Command;
use usher_testkit::TestServer;

/// What `cargo xtask test` tells the tests about the clients it installed.
pub(crate) fn environment(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: run the tests with `cargo xtask test`, which installs the clients")
    })
}

fn script(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../e2e").join(path)
}

/// Runs a client to its end; it must print `ok`.
pub(crate) async fn run(mut command: Command) {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await.expect("the client starts");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && stdout.trim_end().ends_with("ok"), "{stdout}{stderr}");
}

pub(crate) fn node(path: &str) -> Command {
    let mut command = Command::new("node");
    let folder = environment("USHER_E2E_NODE_DIR");
    command.current_dir(&folder).arg(PathBuf::from(folder.clone()).join(path));
    command
}

#[tokio::test]
async fn s8_python_websockets() {
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let bob = server.user("user-bob", "Bob").await;
    let mut command = Command::new(environment("USHER_E2E_PYTHON"));
    command.arg(script("python/header.py")).arg(server.at("/ws").replace("http", "ws")).args([alice.token, bob.token]);
    run(command).await;
}

#[tokio::test]
async fn s8_node_ws_by_every_carrier() {
    let server = TestServer::start().await;
    let alice = server.user("user-alice", "Alice").await;
    let (_, key) = server.db_api_key("user-alice", None).await;
    let ticket = server.ticket(&alice.token).await;
    let mut command = node("node/ws_client.mjs");
    command.arg(server.at("/ws").replace("http", "ws")).args([alice.token, key, ticket]);
    run(command).await;
}

#[tokio::test]
async fn a_browser_reads_the_close_code_and_reason() {
    // req H11, B1
    let server = TestServer::builder()
        .settings(|settings| {
            for route in &mut settings.routes {
                route.first_message.timeout = std::time::Duration::from_millis(500);
            }
        })
        .start()
        .await;
    let mut command = node("chromium/close_codes.mjs");
    let nonsense = r#"{"type":"join","room":"x"}"#;
    command.arg(server.at("")).args([
        "/url?token=a.b.c|4001|Unauthorized".to_owned(),
        "/policy?token=a.b.c|1008|Unauthorized".to_owned(),
        "/iana?token=a.b.c|3000|Unauthorized".to_owned(),
        "/hurried|4008|Authentication timeout".to_owned(),
        format!("/only/first_message|4001|Unauthorized|{nonsense}"),
        "/only/header|4001|Unauthorized".to_owned(),
        // The page of the server itself is not among the Origins of the cookie's routes, and a bad ticket gets no socket.
        "/cookie|1006|".to_owned(),
        "/only/ticket?ticket=x|1006|".to_owned(),
    ]);
    run(command).await;
}
