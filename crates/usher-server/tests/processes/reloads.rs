//! A reload by SIGHUP: what is explained afterwards, and what the log says of it.

use std::sync::mpsc::Receiver;
use std::time::Duration;

use serde_json::Value;

use crate::process::Place;

const ROOMS: &str = "[[rooms]]\npattern = \"board-*\"\njoin = [\"role:user\"]\n";
const ISSUER: &str = "[[issuers]]\nname = \"myapp\"\nissuer = \"https://myapp.example\"\naudience = \"chat\"\n\
                      algorithms = [\"HS256\"]\nhmac_secret_file = \"secret\"\ndefault_roles = [\"user\"]\n";
/// Longer than a reload takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// The next entry of the log whose message begins like that, and those before it.
fn until(log: &Receiver<Value>, message: &str) -> (Value, Vec<Value>) {
    let mut before = Vec::new();
    loop {
        let entry = log.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no {message:?}: {before:#?}"));
        if entry["message"].as_str().is_some_and(|text| text.starts_with(message)) {
            return (entry, before);
        }
        before.push(entry);
    }
}

#[test]
fn explain_asks_for_the_rules_in_force() {
    // req H14, O1
    let place = Place::new(ROOMS);
    place.write("secret", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\n");
    place.configure(&format!("{ROOMS}{ISSUER}"));
    place.add_user("alice");
    let (server, log) = place.start_with_log();
    let explain = |user: &str| place.ask(&["explain", "--user", user, "--room", "board-1", "--action", "join"]);
    assert!(explain("alice").ends_with("alice (roles: user) may join board-1\n"));
    let theirs = explain("myapp:7");
    assert!(theirs.contains("every user of myapp has the roles: user\n"), "{theirs}");
    assert!(theirs.ends_with("myapp:7 (roles: user) may join board-1\n"), "{theirs}");
    assert!(explain("other:7").contains("no configured issuer has a user other:7"));
    place.configure(&format!("{}{ISSUER}", ROOMS.replace("role:user", "role:admin")));
    server.signal("HUP");
    until(&log, "the configuration was reloaded");
    for user in ["alice", "myapp:7"] {
        let now = explain(user);
        assert!(now.ends_with(&format!("{user} (roles: user) may not join board-1\n")), "{now}");
    }
}

#[test]
fn a_reload_names_what_it_did_not_apply() {
    // req H14
    let place = Place::new(ROOMS);
    let (server, log) = place.start_with_log();
    let changed =
        "[limits]\nrooms_per_connection = 3\nmessage = \"2KiB\"\n[audit]\nkeep = \"1d\"\n[log]\nlevel = \"warn\"\n";
    place.configure(&format!("{ROOMS}{changed}"));
    server.signal("HUP");
    let (warning, _) = until(&log, "these settings changed and need a restart");
    assert_eq!(warning["settings"], "audit.keep, limits.rooms_per_connection, log.level");
    assert_eq!(warning["level"], "WARN");
    // What is wrong is told line by line, each with its advice, and changes nothing.
    place.configure("[[rooms]]\npattern = 7\n[limits]\nwaiting = 3\n");
    server.signal("HUP");
    let (_, before) = until(&log, "the configuration was not reloaded");
    let said: Vec<&str> = before.iter().filter_map(|entry| entry["message"].as_str()).collect();
    assert!(said.iter().any(|text| text.contains("usher.toml:") && text.contains("rooms[0].pattern")), "{said:#?}");
    assert!(said.iter().all(|text| !text.contains('\n')), "{said:#?}");
}

#[test]
fn the_log_is_configured_in_the_file_and_the_command_line_wins() {
    let place = Place::new("[log]\nlevel = \"info\"\nformat = \"text\"\n");
    // `--log-format json` of the harness wins over the file's text; that it listens is logged at info.
    drop(place.start());
}
