//! docs/how-to/backup.md, run as it is written: what was backed up while the server ran comes back.

use std::process::Command;

use serde_json::json;

use crate::process::{Place, log_in, refresh};

const PAGE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/how-to/backup.md"));

/// The shell commands of the page, block by block.
fn blocks() -> Vec<String> {
    let blocks = PAGE.split("```sh\n").skip(1);
    blocks.map(|block| block.split("```").next().expect("it is closed").to_owned()).collect()
}

fn run(place: &Place, commands: &str) -> String {
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_usher")).parent().expect("a folder");
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").expect("a path"));
    let mut shell = Command::new("sh");
    shell.args(["-e", "-c", commands]).current_dir(place.path()).env("PATH", path).env("USHER_CONFIG", "usher.toml");
    let output = shell.output().expect("the shell runs");
    let printed = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success(), "{commands}\n{printed}{}", String::from_utf8_lossy(&output.stderr));
    printed
}

#[tokio::test]
async fn what_was_backed_up_is_restored() {
    let [back_up, restore] = &blocks()[..] else { panic!("the page has two blocks") };
    let place = Place::new("[[routes]]\npath = \"/ws\"\n");
    place.add_user("alice");
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let server = place.start();
    let alice = log_in(&http, server.url.as_str(), "alice").await.expect("an answer");

    let printed = run(&place, back_up);
    for key in ["usher-signing-key.pem", "usher.db.audit-key", "usher.db.address-key"] {
        assert!(printed.contains(key), "{printed}");
    }
    assert_eq!(place.mode_of("backup/usher.db"), 0o600);
    let again = place.ask_with_errors(&["backup", "backup/usher.db"]);
    assert!(again.contains("is there already"), "{again}");

    // What happens after the copy is not in it.
    place.add_user("bob");
    let alive = refresh(&http, server.url.as_str(), &alice.refresh).await.expect("an answer").expect("it is good");
    server.signal("TERM");
    assert_eq!(tokio::task::spawn_blocking(|| server.wait()).await.expect("no panic"), Some(0));
    assert!(!place.has("usher.db-wal"), "a server that was stopped in order leaves one file");
    place.write("usher.db", "a disk that was not what it seemed");

    run(&place, restore);
    let server = place.start();
    let url = server.url.to_string();
    let session = http.get(format!("{url}auth/session")).bearer_auth(&alive.access).send().await.expect("an answer");
    assert_eq!(session.status(), 200, "the key that signs is the same");
    refresh(&http, &url, &alice.refresh).await.expect("an answer").expect("as it was at the time of the copy");
    let bob = http.post(format!("{url}auth/login")).json(&json!({"user": "bob", "pwd": crate::process::PASSWORD}));
    assert_eq!(bob.send().await.expect("an answer").status(), 401, "bob came later");
}
