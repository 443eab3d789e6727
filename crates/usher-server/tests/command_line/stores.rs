//! Which store a command uses, what it says of it, and which secrets lie open.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Desk, Done, Serving};

const CONFIG: &str = "[server]\nlisten = \"127.0.0.1:0\"\npublic_url = \"http://127.0.0.1:8080\"\n";

fn files(desk: &Desk) -> Vec<String> {
    let entries = std::fs::read_dir(desk.path()).expect("a folder");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect();
    names.sort();
    names
}

#[test]
fn where_there_is_no_store_only_a_first_user_makes_one() {
    let desk = Desk::with(CONFIG);
    for args in [
        &["session", "revoke", "--user", "alice"][..],
        &["session", "revoke", "ses_none"],
        &["session", "list", "--user", "alice"],
        &["user", "list"],
        &["user", "disable", "alice"],
        &["user", "remove", "alice"],
        &["key", "add", "--user", "alice"],
        &["key", "list"],
        &["key", "revoke", "key_none"],
        &["explain", "--user", "alice", "--room", "board-1", "--action", "join"],
    ] {
        let done = desk.usher(args);
        assert_eq!((done.code, done.stdout.as_str()), (1, ""), "{args:?}");
        let expected = "usher: there is no store at usher.db: give --config, or go to the folder of the data; a first `usher \
                        user add` or `usher serve` makes one\n";
        assert_eq!(done.stderr, expected, "{args:?}");
        let done = desk.usher(&[args, &["--config", "usher.toml"]].concat());
        assert!(done.stderr.contains("is store.url in usher.toml right?"), "{}", done.stderr);
        assert_eq!(files(&desk), ["usher.toml"], "{args:?}");
    }
    let done = desk.add_user("alice");
    assert_eq!((done.code, done.stdout.as_str()), (0, "added alice\n"));
    assert_eq!(done.stderr, "made a new store at usher.db\n");
    assert_eq!(desk.add_user("bob").stderr, "");
    let done = desk.usher(&["user", "disable", "bob"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, "using the store at usher.db; no --config was given\n"));
}

#[tokio::test]
async fn revoking_a_users_sessions_says_how_many() {
    // req H3
    let desk = Desk::with(&format!("{CONFIG}[[routes]]\npath = \"/ws\"\ncarriers = [\"header\"]\n"));
    let (_serving, address) = Serving::start_at(&desk);
    assert_eq!(desk.add_user("alice").code, 0);
    let server = format!("http://{address}");
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let mut token = String::new();
    for _ in 0..2 {
        let login = http.post(format!("{server}/auth/login"));
        let login = login.json(&json!({"user": "alice", "pwd": "correct horse battery"}));
        let body: Value = login.send().await.expect("an answer").json().await.expect("JSON");
        body["token"].as_str().expect("a token").clone_into(&mut token);
    }
    let upgrade = usher_testkit::Upgrade::at("/ws").bearer(&token);
    let mut client = upgrade.connect(&server.parse().expect("a URL")).await.expect("let in");
    client.expect("authenticated").await;
    let revoke = ["session", "revoke", "--user", "alice", "--config", "usher.toml"];
    assert_eq!(desk.usher(&revoke).stdout, "ended 2 sessions and 1 connection of alice\n");
    assert_eq!(client.closed().await.1.code, 4004);
    assert!(desk.usher(&revoke).stdout.starts_with("ended 0 sessions and 0 connections of alice"));
}

#[test]
fn a_key_lives_for_a_while_or_until_it_is_revoked() {
    let desk = Desk::with(CONFIG);
    assert_eq!(desk.add_user("alice").code, 0);
    let usher = |args: &[&str]| desk.usher(&[args, &["--config", "usher.toml"]].concat());
    for wrong in ["0s", "99999999d", "36501d"] {
        let done = usher(&["key", "add", "--user", "alice", "--expires-in", wrong]);
        assert_eq!((done.code, done.stdout.as_str()), (1, ""), "{wrong}");
        assert!(done.stderr.contains("more than 0 seconds and at most 36500 days"), "{}", done.stderr);
    }
    assert_eq!(usher(&["key", "list"]).stdout, "");
    assert_eq!(usher(&["key", "add", "--user", "alice"]).code, 0);
    assert_eq!(usher(&["key", "add", "--user", "alice", "--expires-in", "36500d"]).code, 0);
    let list = usher(&["key", "list"]).stdout;
    let expiries: Vec<&str> = list.lines().skip(1).filter_map(|line| line.split_whitespace().last()).collect();
    assert!(expiries.contains(&"never") && expiries.iter().any(|at| at.starts_with("21")), "{list}");
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

#[test]
fn a_secret_that_others_may_read_is_pointed_out() {
    // req G9
    let config = "[server]\npublic_url = \"https://chat.example.com\"\ntls = { cert = \"cert.pem\", key = \"key.pem\" }\n\
                  [[issuers]]\nname = \"idp\"\nissuer = \"https://idp.example\"\naudience = \"chat\"\n\
                  algorithms = [\"HS256\"]\nhmac_secret_file = \"secret\"\n";
    let desk = Desk::with(config);
    let pair = rcgen::generate_simple_self_signed(["chat.example.com".to_owned()]).expect("a certificate");
    let write = |name: &str, text: &str, mode: u32| {
        let path = desk.path().join(name);
        std::fs::write(&path, text).expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("chmod");
    };
    let check = |mode: u32| -> Done {
        write("cert.pem", &pem("CERTIFICATE", pair.cert.der()), 0o644);
        write("key.pem", &pem("PRIVATE KEY", &pair.signing_key.serialize_der()), mode);
        write("secret", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\n", mode);
        desk.usher(&["check", "--config", "usher.toml"])
    };
    let done = check(0o600);
    assert_eq!(done.code, 0, "{}", done.stdout);
    assert!(!done.stdout.contains("may be read by others"), "{}", done.stdout);
    for mode in [0o640, 0o644] {
        let done = check(mode);
        assert_eq!(done.code, 0, "{}", done.stdout);
        for expected in ["server.tls.key: ", "issuers[0].hmac_secret_file: "] {
            let line = done.stdout.lines().find(|line| line.contains(expected)).expect(expected);
            assert!(
                line.starts_with("warning: ") && line.contains(&format!("(mode {mode:04o}): run `chmod 600`")),
                "{line}"
            );
        }
    }
}

#[test]
fn messages_name_what_they_are_about() {
    let desk = Desk::with(CONFIG);
    let inside = Path::new("usher.toml").join("demo");
    let done = desk.usher(&["demo", "--folder", inside.to_str().expect("text")]);
    assert_eq!(done.code, 1);
    assert!(done.stderr.starts_with("usher: the folder usher.toml/demo cannot be made: "), "{}", done.stderr);
    let mut check = desk.command(&["check"]);
    for name in ["USHER_FOO", "USHER_ROOM", "USHER_ROUTE"] {
        check.env(name, "x");
    }
    let done = Done::from(check.output().expect("the command runs"));
    for array in ["USHER_ROOMS", "USHER_ROUTES"] {
        assert!(!done.stdout.contains(array), "the environment cannot set it: {}", done.stdout);
    }
    assert_eq!(done.stdout.matches("sets nothing").count(), 3, "{}", done.stdout);
}
