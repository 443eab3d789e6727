//! `usher demo` as a newcomer runs it: the binary, two browsers, one room; and the command line beside the running server.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use crate::s8_header::{environment, node, run};

/// The demo's process and what it printed.
struct Demo {
    child: Child,
    url: String,
    passwords: [String; 2],
    folder: tempfile::TempDir,
}

impl Demo {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // Another process may take the port between the two; then the demo says so and the test fails.
        let free = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port").local_addr().expect("an address");
        let mut command = Command::new(env!("CARGO_BIN_EXE_usher"));
        command.arg("demo").arg("--listen").arg(free.to_string()).current_dir(folder.path());
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true).spawn().expect("the demo starts");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let (mut url, mut alice, mut bob) = (None, None, None);
        while bob.is_none() {
            let line = lines.next_line().await.expect("output").expect("the demo says where it is and who may come");
            let mut words = line.split_whitespace();
            match (words.next(), words.next()) {
                (Some("alice"), Some(password)) => alice = Some(password.to_owned()),
                (Some("bob"), Some(password)) => bob = Some(password.to_owned()),
                _ => url = url.or(line.split_whitespace().find(|word| word.starts_with("http://")).map(str::to_owned)),
            }
        }
        let passwords = [alice.expect("a password"), bob.expect("a password")];
        Self { child, url: url.expect("a URL"), passwords, folder }
    }
}

#[tokio::test]
async fn two_browsers_meet_on_the_boards_page() {
    // S14's page as far as one node goes; issue's "shown by"
    let mut demo = Demo::start().await;
    let mut command = node("chromium/boards.mjs");
    command.env("USHER_E2E_CHROMIUM", environment("USHER_E2E_CHROMIUM"));
    command.arg(demo.url.trim_end_matches('/')).args(&demo.passwords).arg("");
    run(command).await;
    demo.child.kill().await.expect("the demo ends");
}

#[tokio::test]
async fn the_command_line_reaches_the_running_server() {
    let mut demo = Demo::start().await;
    let config = demo.folder.path().join("usher.toml");
    std::fs::write(&config, "[store]\nurl = \"sqlite://usher-demo/usher.db\"\n").expect("written");
    let usher = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_usher"));
        command.args(args).arg("--config").arg(&config).stdin(Stdio::null());
        async move {
            let output = command.output().await.expect("the command runs");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).expect("text")
        }
    };
    let key = usher(&["key", "add", "--user", "alice", "--label", "test"]).await;
    let key = key.lines().last().expect("the key").to_owned();
    let base = url::Url::parse(&demo.url).expect("a URL");
    let upgrade = || usher_testkit::Upgrade::at("/ws").header("x-api-key", &key);
    let mut client = upgrade().connect(&base).await.expect("let in");
    client.expect("authenticated").await;
    // OctoPrint's clients find what they look for.
    let version = reqwest::Client::new().get(base.join("/api/version").expect("a URL")).header("x-api-key", &key);
    assert_eq!(version.send().await.expect("an answer").status(), 200);
    let mut octoprint = upgrade().on("/sockjs/000/demo/websocket").connect(&base).await.expect("let in");
    assert_eq!(octoprint.next_text().await.as_deref(), Ok("o"));
    assert!(octoprint.next_text().await.is_ok_and(|text| text.starts_with(r#"a[{"connected":{"#)));
    usher(&["user", "disable", "alice"]).await;
    // The running server learned of it at once.
    assert_eq!(client.closed().await.1.code, 4004);
    assert_eq!(upgrade().connect(&base).await.err().expect("refused").status, 401);
    usher(&["user", "enable", "alice"]).await;
    upgrade().connect(&base).await.expect("let in again").expect("authenticated").await;
    demo.child.kill().await.expect("the demo ends");
}
