//! The binary's commands as an operator types them: what they print, where, and with which exit code.

mod audit_key;
mod bans;
mod canary;
mod canary_sockjs;
mod check;
mod stores;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// A folder with a configuration, in which commands are typed.
struct Desk(tempfile::TempDir);

/// A finished command.
struct Done {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Desk {
    fn with(config: &str) -> Self {
        let desk = Self(tempfile::tempdir().expect("a folder"));
        std::fs::write(desk.path().join("usher.toml"), config).expect("a file");
        desk
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_usher"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("USHER_")) {
            command.env_remove(name);
        }
        command.args(args).current_dir(self.path()).stdin(Stdio::null());
        command
    }

    fn usher(&self, args: &[&str]) -> Done {
        Done::from(self.command(args).output().expect("the command runs"))
    }

    fn usher_with_input(&self, args: &[&str], input: &str) -> Done {
        let mut command = self.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the command runs");
        child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("written");
        Done::from(child.wait_with_output().expect("the command ends"))
    }

    fn add_user(&self, id: &str) -> Done {
        let args = ["user", "add", id, "--name", "Somebody", "--password-stdin", "--config", "usher.toml"];
        self.usher_with_input(&args, "correct horse battery\n")
    }
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Self {
            code: output.status.code().expect("an exit code"),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

/// `usher serve` until it is dropped.
struct Serving(Child);

impl Serving {
    fn start(desk: &Desk) -> Self {
        Self::start_at(desk).0
    }

    /// With the address it listens on.
    fn start_at(desk: &Desk) -> (Self, String) {
        let mut command = desk.command(&["serve", "--config", "usher.toml", "--log-format", "json"]);
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the server starts");
        let log = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut lines = log.lines().map(|line| line.expect("a line"));
        let listening = lines.find(|line| line.contains("\"message\":\"listening\"")).expect("the server listens");
        let listening: serde_json::Value = serde_json::from_str(&listening).expect("JSON");
        // What it logs from now on is read, so that it is never kept waiting, and thrown away.
        std::thread::spawn(move || lines.count());
        (Self(child), listening["address"].as_str().expect("an address").to_owned())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.kill().expect("it still ran");
        self.0.wait().expect("it has ended");
    }
}

#[test]
fn check_says_what_is_on_or_what_is_wrong() {
    // req O5
    let desk = Desk::with(
        "[[routes]]\npath = \"/ws\"\ncarriers = [\"query\"]\n[[rooms]]\npattern = \"board-*\"\njoin = [\"any\"]\n",
    );
    let done = desk.usher(&["check", "--config", "usher.toml"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    for expected in [
        "usher.toml: ok",
        "/ws  query",
        "board-*  join: any; publish: nobody",
        "warning: usher.toml:3: routes[0].carriers",
    ] {
        assert!(done.stdout.contains(expected), "{expected}\n{}", done.stdout);
    }
    assert_eq!(desk.usher(&["check"]).code, 0, "the defaults are good");

    let desk = Desk::with("[server]\nlisten = \"0.0.0.0:8080\"\n[sesions]\n");
    let done = desk.usher(&["check", "--config", "usher.toml"]);
    assert_eq!(done.code, 1);
    assert_eq!(done.stdout, "usher.toml:3: sesions: unknown key; did you mean \"sessions\"?\n");
    assert_eq!(done.stderr, "usher: 1 problem\n");
    let done = desk.usher(&["serve", "--config", "usher.toml"]);
    assert_eq!((done.code, done.stdout.as_str()), (1, ""));
    assert!(done.stderr.contains("did you mean \"sessions\"?"), "{}", done.stderr);

    let mut command = desk.command(&["check"]);
    let done = Done::from(command.env("USHER_SERVER__LISTEN", "0.0.0.0:1").output().expect("the command runs"));
    assert_eq!(done.code, 1);
    assert!(done.stdout.contains("\nUSHER_SERVER__LISTEN: server.listen: 0.0.0.0:1 can be reached"), "{}", done.stdout);
}

#[test]
fn a_printed_default_is_taken_back() {
    let desk = Desk::with("");
    let printed = desk.usher(&["config", "default"]);
    std::fs::write(desk.path().join("default.toml"), &printed.stdout).expect("a file");
    let done = desk.usher(&["check", "--config", "default.toml"]);
    assert_eq!(done.code, 0, "{}", done.stdout);
    let schema = desk.usher(&["config", "schema"]).stdout;
    let schema: serde_json::Value = serde_json::from_str(&schema).expect("JSON");
    assert_eq!(schema["title"], "Usher's configuration");
}

#[test]
fn wrong_use_is_told_from_what_cannot_be_done() {
    let desk = Desk::with("");
    assert_eq!(desk.usher(&["user", "add", "alice"]).code, 2);
    let done = desk.usher(&["user", "add", "alice", "--name", "Alice", "--config", "usher.toml"]);
    assert_eq!((done.code, done.stdout.as_str()), (2, ""), "there is no terminal");
    assert!(done.stderr.contains("--password-stdin"), "{}", done.stderr);
    assert_eq!(desk.usher(&["demo", "--listen", "0.0.0.0:8080"]).code, 2);
    assert_eq!(desk.usher(&["migrate", "--config", "usher.toml"]).code, 0);
    let done = desk.usher(&["user", "disable", "alice", "--config", "usher.toml"]);
    assert_eq!((done.code, done.stderr.as_str()), (1, "usher: there is no user alice\n"));
}

#[test]
fn users_and_keys_without_a_server() {
    // req K4
    let desk = Desk::with("[[rooms]]\npattern = \"board-*\"\njoin = [\"role:user\"]\npublish = [\"role:editor\"]\n");
    let config = ["--config", "usher.toml"];
    let usher = |args: &[&str]| desk.usher(&[args, &config].concat());
    let weak = ["user", "add", "alice", "--name", "Alice", "--password-stdin", "--config", "usher.toml"];
    let done = desk.usher_with_input(&weak, "password123\n");
    assert_eq!(done.code, 1);
    assert!(
        done.stderr.contains("first that anybody would try") && !done.stderr.contains("password123"),
        "{}",
        done.stderr
    );
    assert_eq!(usher(&["user", "list"]).stdout, "", "nobody, and no default account (req K5)");

    let done = desk.add_user("alice");
    assert_eq!((done.code, done.stdout.as_str()), (0, "added alice\n"), "{}", done.stderr);
    assert_eq!(desk.add_user("alice").code, 1);
    let list = usher(&["user", "list"]).stdout;
    assert!(list.starts_with("id     name      roles  state    added\nalice  Somebody  user   enabled  20"), "{list}");
    let json: serde_json::Value = serde_json::from_str(&usher(&["user", "list", "--json"]).stdout).expect("JSON");
    assert_eq!(json[0]["roles"], serde_json::json!(["user"]));

    let made = usher(&["key", "add", "--user", "alice", "--label", "ci", "--expires-in", "90d"]);
    assert_eq!(made.stdout.lines().count(), 1);
    let key = made.stdout.trim();
    assert!(key.starts_with("usk_") && key.len() == 47 && !made.stderr.contains(key));
    let keys = usher(&["key", "list", "--user", "alice", "--json"]).stdout;
    let keys: serde_json::Value = serde_json::from_str(&keys).expect("JSON");
    let id = keys[0]["id"].as_str().expect("an id");
    assert_eq!(keys[0]["label"], "ci");
    assert_eq!(usher(&["key", "revoke", id]).code, 0);
    assert_eq!(usher(&["key", "revoke", id]).code, 1);

    let explained = usher(&["explain", "--user", "alice", "--room", "board-1", "--action", "join"]);
    assert_eq!(explained.code, 0);
    assert!(explained.stdout.ends_with("alice (roles: user) may join board-1\n"), "{}", explained.stdout);
    let explained = usher(&["explain", "--user", "alice", "--room", "board-1", "--action", "publish"]);
    assert_eq!(explained.code, 1);
    assert!(explained.stdout.contains("publish needs one of [role:editor]"), "{}", explained.stdout);

    assert_eq!(usher(&["session", "list", "--user", "alice"]).code, 0);
    assert_eq!(usher(&["session", "revoke", "ses_none"]).code, 1);
    assert_eq!(
        usher(&["session", "revoke", "--user", "alice"]).stdout,
        "ended 0 sessions and 0 connections of alice\n"
    );
    assert_eq!(usher(&["user", "remove", "alice"]).stdout, "removed alice\n");
    assert!(usher(&["migrate"]).stdout.contains("is at version"));
}

#[test]
fn a_second_server_and_what_a_killed_one_leaves_behind() {
    let desk = Desk::with("[server]\nlisten = \"127.0.0.1:0\"\npublic_url = \"http://127.0.0.1:8080\"\n");
    let serving = Serving::start(&desk);
    assert_eq!(desk.add_user("alice").code, 0);
    assert_eq!(desk.add_user("alice").stderr, "usher: there is a user alice already\n");
    assert!(desk.usher(&["migrate", "--config", "usher.toml"]).stdout.contains("running server"));
    let second = desk.usher(&["serve", "--config", "usher.toml"]);
    assert_eq!(second.code, 1);
    assert!(second.stderr.contains("another usher is using the data"), "{}", second.stderr);
    assert_eq!(desk.usher(&["user", "disable", "alice", "--config", "usher.toml"]).code, 0, "the first one goes on");
    drop(serving);
    assert!(desk.path().join("usher.db.sock").exists(), "it was killed and cleared nothing away");
    let done = desk.usher(&["user", "enable", "alice", "--config", "usher.toml"]);
    assert_eq!((done.code, done.stdout.as_str()), (0, "enabled alice\n"), "{}", done.stderr);
    drop(Serving::start(&desk));
}

#[test]
fn the_audit_trail_is_read_and_verified_with_a_server_and_without() {
    // req N5
    let desk = Desk::with(
        "[server]\nlisten = \"127.0.0.1:0\"\npublic_url = \"http://127.0.0.1:8080\"\n[audit]\nsinks = [\"store\", \"file:audit.jsonl\"]\n",
    );
    let usher = |args: &[&str]| desk.usher(&[args, &["--config", "usher.toml"]].concat());
    assert_eq!(desk.add_user("alice").code, 0);
    let done = usher(&["audit", "verify"]);
    assert_eq!(
        (done.code, done.stdout.as_str()),
        (0, "store: ok, 1 records hold\nfile:audit.jsonl: ok, 1 records hold\n")
    );
    let serving = Serving::start(&desk);
    assert_eq!(usher(&["user", "disable", "alice"]).code, 0);
    let done = usher(&["audit", "tail"]);
    for expected in ["time  ", "user_created", "sys_startup", "user_updated", "disabled", "command_line"] {
        assert!(done.stdout.contains(expected), "{expected}\n{}", done.stdout);
    }
    assert_eq!(usher(&["audit", "tail", "-n", "1", "--json"]).stdout.lines().count(), 1);
    assert_eq!(usher(&["audit", "verify"]).code, 0, "by the server, which alone writes");

    let path = desk.path().join("audit.jsonl");
    let text = std::fs::read_to_string(&path).expect("the file");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).expect("the file").permissions());
    assert_eq!(mode & 0o777, 0o600);
    std::fs::write(&path, text.replacen("alice", "mallory", 1)).expect("tampered with");
    drop(serving);
    let done = usher(&["audit", "verify"]);
    assert_eq!(done.code, 1);
    assert!(done.stdout.contains("file:audit.jsonl: line 1 (record 1) was changed\n"), "{}", done.stdout);
    assert!(done.stdout.contains("store: ok") && done.stderr.contains("keep a copy"), "{}", done.stderr);
    let done = usher(&["audit", "verify", "no-such-file"]);
    assert_eq!(done.code, 1);
    assert!(done.stderr.contains("no-such-file cannot be read"), "{}", done.stderr);
    std::fs::write(desk.path().join("usher.toml"), "[audit]\nsinks = [\"stdout\"]\n").expect("a file");
    assert!(usher(&["audit", "tail"]).stderr.contains("no audit sink keeps records: add"));
}
