//! The clients that docs/how-to/sockjs.md shows are the ones in examples/sockjs, and they work.

use std::path::PathBuf;
use std::process::Stdio;

use tokio::process::Command;
use usher_auth::protocol::SockJsDialect;
use usher_testkit::{TestServer, sockjs};

use crate::s8_header::environment;

fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// Node.js looks for packages beside the script: a folder that has both.
fn javascript(folder: &tempfile::TempDir) -> Command {
    let packages = PathBuf::from(environment("USHER_E2E_NODE_DIR")).join("node_modules");
    std::os::unix::fs::symlink(packages, folder.path().join("node_modules")).expect("a link");
    let script = folder.path().join("client.mjs");
    std::fs::copy(repository("examples/sockjs/client.mjs"), &script).expect("a copy");
    let mut command = Command::new("node");
    command.arg(script);
    command
}

fn python() -> Command {
    let mut command = Command::new(environment("USHER_E2E_PYTHON"));
    command.arg(repository("examples/sockjs/client.py"));
    command
}

async fn printed(mut command: Command) -> String {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await.expect("the client starts");
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test]
async fn the_examples_come_in_and_say_why_they_may_not() {
    for octoprint in [false, true] {
        let rules = SockJsDialect { lenient: true, octoprint };
        let server = TestServer::builder().settings(|settings| settings.sockjs = Some(sockjs(rules))).start().await;
        server.user("alice", "Alice").await;
        let (_, key) = server.db_api_key("alice", None).await;
        for (key, expected) in [(key.as_str(), "in board-1 with 1\n"), ("wrong", "refused: ")] {
            let key = format!("alice:{key}");
            // An OctoPrint client that is refused may try again, for as long as the wait lasts; these do not leave before.
            if octoprint && expected.starts_with("refused") {
                continue;
            }
            let folder = tempfile::tempdir().expect("a folder");
            let mut node = javascript(&folder);
            node.args([&server.at("/sockjs"), &key]);
            let said = printed(node).await;
            assert!(said.contains(expected), "{said}");
            let mut python = python();
            python.args([&server.at("/sockjs").replace("http", "ws"), &key]);
            let said = printed(python).await;
            assert!(said.contains(expected), "{said}");
        }
    }
}

#[test]
fn the_how_to_shows_the_examples_as_they_are() {
    let page = std::fs::read_to_string(repository("docs/how-to/sockjs.md")).expect("the page");
    for (name, language) in [("client.mjs", "js"), ("client.py", "python")] {
        let example = std::fs::read_to_string(repository("examples/sockjs").join(name)).expect("an example");
        assert!(
            page.contains(&format!("```{language}\n{example}```\n")),
            "{name} is not what docs/how-to/sockjs.md shows"
        );
    }
}
