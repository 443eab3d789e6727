//! `octoprint client … listen`: logs in by its API key over HTTP, presents what it got on the socket, and prints what comes.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};
use usher_auth::revocation::{RevocationCause, RevocationTarget};
use usher_testkit::TestServer;

use crate::client::{python, start};

/// The command as it listens, and what it prints.
struct Listener {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Listener {
    fn start(server: &TestServer, key: &str) -> Self {
        let port = server.url.port().expect("a port").to_string();
        let mut command = python();
        command.args(["-m", "octoprint", "client", "-a", key, "-h", "127.0.0.1", "-p", &port, "listen"]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the client starts");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        Self { child, lines }
    }

    /// The next line that says something of the connection.
    async fn next(&mut self) -> String {
        loop {
            let line = self.lines.next_line().await.expect("output").expect("the client goes on");
            // What it sent holds its key.
            if !line.starts_with("---") && !line.starts_with(">>>") && !line.starts_with("<3") {
                return line;
            }
        }
    }

    async fn end(mut self) {
        self.child.kill().await.expect("the client ends");
    }
}

#[tokio::test]
async fn s1_octoprints_command_line_listens() {
    let server = start().await;
    let (id, key) = server.db_api_key("alice", None).await;
    let mut listener = Listener::start(&server, &key);
    for event in ["connected", "authenticated", "history"] {
        let line = listener.next().await;
        assert!(line.starts_with(&format!("<<< {event}, Payload: {{")), "{line}");
    }
    // A push is an event to it, and what ends its key is told.
    server.db_revoke(RevocationTarget::ApiKey(id), RevocationCause::KeyRevoked).await;
    assert_eq!(listener.next().await, r#"<<< reauthRequired, Payload: {"reason": "logout"}"#);
    listener.end().await;
}

#[tokio::test]
async fn s1_octoprints_command_line_says_why_it_may_not() {
    let server = start().await;
    let mut listener = Listener::start(&server, &format!("usk_{}", "A".repeat(43)));
    assert!(listener.next().await.starts_with("<<< connected, "));
    let error = listener.next().await;
    assert!(error.starts_with("!!! Error: 403"), "{error}");
    listener.end().await;
}
