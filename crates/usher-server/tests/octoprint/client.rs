//! Where the clients are, and a server for them.

use std::path::PathBuf;
use std::process::Stdio;

use tokio::process::Command;
use usher_auth::origin::{AllowedOrigins, Origin};
use usher_auth::protocol::SockJsDialect;
use usher_server::server::ServerSettings;
use usher_testkit::{TestServer, settings, sockjs};

/// What `cargo xtask test` tells the tests about the clients it installed.
pub(crate) fn environment(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: run the tests with `cargo xtask test`, which installs the clients")
    })
}

/// A script of ours that drives a client.
pub(crate) fn script(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../e2e").join(path)
}

/// The Python that has OctoPrint. It writes nothing into the home of whoever runs the tests.
pub(crate) fn python() -> Command {
    let mut command = Command::new(environment("USHER_E2E_OCTOPRINT"));
    command.env("HOME", std::env::temp_dir()).env("PYTHONUNBUFFERED", "1").env("NO_PROXY", "*");
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Runs a client to its end; it must print `ok`.
pub(crate) async fn run(mut command: Command) {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await.expect("the client starts");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && stdout.trim_end().ends_with("ok"), "{stdout}{stderr}");
}

/// A server for OctoPrint's clients that knows alice. Its own pages may use their visitors' cookies.
pub(crate) async fn start() -> TestServer {
    let server =
        TestServer::builder().settings(|settings| *settings = octoprint(AllowedOrigins::default())).start().await;
    let own = AllowedOrigins::new(vec![Origin::of(&server.url)]);
    server.server().reload(&octoprint(own));
    server.db_add_user("alice", "Alice", &["user"]).await;
    server
}

fn octoprint(origins: AllowedOrigins) -> ServerSettings {
    let mut endpoint = sockjs(SockJsDialect { lenient: true, octoprint: true });
    endpoint.rules.origins = origins.clone();
    ServerSettings { sockjs: Some(endpoint), origins, ..settings() }
}
