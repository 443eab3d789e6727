//! Starts a client and holds what it says against what it must say.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

/// What `e2e/sockjs/checks.mjs` checks over each transport. The list stands here, too, so that none can get lost there.
const CHECKS: [&str; 10] = [
    "echo_plain",
    "echo_unicode",
    "echo_escapes",
    "echo_lone_surrogates",
    "echo_100_kib",
    "echo_in_order",
    "heartbeat",
    "server_close_at_once",
    "server_close_after_messages",
    "client_close",
];
/// How many of these leave an observed session behind.
pub const OBSERVED: usize = 2;
/// For all checks over all transports.
const PATIENCE: Duration = Duration::from_secs(150);

/// One line that a client prints.
#[derive(Debug, Deserialize)]
struct Outcome {
    transport: String,
    check: String,
    ok: bool,
    #[serde(default)]
    detail: String,
}

/// The folder of the clients, with their `node_modules`.
pub fn folder() -> PathBuf {
    environment("USHER_E2E_NODE_DIR").into()
}

/// What `cargo xtask test` tells the tests about the clients it installed.
pub fn environment(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: run the tests with `cargo xtask test`, which installs the clients")
    })
}

/// Runs a script of the clients' folder to its end. Every check must have been made over each of `transports`, and must have passed.
pub async fn run(script: &str, arguments: &[String], transports: &[&str]) {
    let mut command = Command::new("node");
    command.current_dir(folder()).arg(folder().join(script)).args(arguments).args(transports);
    command.env("NODE_ENV", "production").stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut outcomes: Vec<Outcome> = Vec::new();
    let to_its_end = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            outcomes.push(serde_json::from_str(&line).unwrap());
        }
        child.wait().await.unwrap()
    };
    let status = tokio::time::timeout(PATIENCE, to_its_end).await;
    let failed: Vec<_> = outcomes.iter().filter(|outcome| !outcome.ok).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    let made: BTreeSet<_> =
        outcomes.iter().map(|outcome| (outcome.transport.as_str(), outcome.check.as_str())).collect();
    let wanted = transports.iter().flat_map(|transport| CHECKS.map(|check| (*transport, check))).collect();
    assert_eq!(made, wanted, "{status:?}");
    assert!(status.is_ok_and(|status| status.success()));
    for close in outcomes.iter().filter(|outcome| outcome.check == "client_close") {
        let seen = seen_close(&close.transport);
        assert!(seen.contains(&close.detail.as_str()), "{close:?} instead of {seen:?}");
    }
}

/// How the server may see a client's close. Over HTTP the client breaks its request off and says no more; and if it closes between
/// two requests, there is none to break off.
fn seen_close(transport: &str) -> &'static [&'static str] {
    match transport {
        "websocket" => &["client"],
        "xhr-polling" | "iframe-xhr-polling" => &["interrupted", "timed_out"],
        _ => &["interrupted"],
    }
}
