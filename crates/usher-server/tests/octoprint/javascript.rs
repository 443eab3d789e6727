//! OctoPrint's JavaScript client with the SockJS client it brings, in Chromium, over four transports.

use std::path::PathBuf;

use tokio::process::Command;

use crate::client::{environment, python, run, start};

/// Where the package has its scripts. The page loads them from there; they are copied nowhere.
async fn scripts() -> String {
    let mut python = python();
    python.args(["-c", "import octoprint, os; print(os.path.dirname(octoprint.__file__))"]);
    let output = python.output().await.expect("Python starts");
    let folder = String::from_utf8(output.stdout).expect("a path");
    PathBuf::from(folder.trim_end()).join("static/js").display().to_string()
}

async fn over(transport: &str) {
    let server = start().await;
    let folder = environment("USHER_E2E_NODE_DIR");
    let mut command = Command::new("node");
    command.env("USHER_E2E_CHROMIUM", environment("USHER_E2E_CHROMIUM"));
    command.current_dir(&folder).arg(PathBuf::from(&folder).join("chromium/octoprint.mjs"));
    command.arg(server.at("")).arg(scripts().await).arg(transport).arg("correct horse battery staple");
    run(command).await;
}

#[tokio::test]
async fn s1_octoprints_javascript_client_over_websocket() {
    over("websocket").await;
}

#[tokio::test]
async fn s1_octoprints_javascript_client_over_xhr_streaming() {
    over("xhr-streaming").await;
}

#[tokio::test]
async fn s1_octoprints_javascript_client_over_xhr_polling() {
    over("xhr-polling").await;
}

#[tokio::test]
async fn s1_octoprints_javascript_client_over_eventsource() {
    over("eventsource").await;
}
