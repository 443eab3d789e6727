//! `usher serve` in a folder of its own, on a free port.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use url::Url;

/// What every user of these tests logs in with.
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// A folder with a configuration and the data of one server, which may be started more than once.
pub(crate) struct Place(tempfile::TempDir);

/// A running server. It is killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) url: Url,
    log: Arc<Mutex<Vec<String>>>,
}

/// Tokens of one log-in.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
}

impl Place {
    /// With more configuration than where to listen.
    pub(crate) fn new(config: &str) -> Self {
        let place = Self(tempfile::tempdir().expect("a folder"));
        place.configure(config);
        place
    }

    /// Writes another configuration.
    pub(crate) fn configure(&self, config: &str) {
        let server = "[server]\nlisten = \"127.0.0.1:0\"\npublic_url = \"http://127.0.0.1:1\"\n";
        std::fs::write(self.0.path().join("usher.toml"), format!("{server}{config}")).expect("a file");
    }

    /// Writes another file beside the configuration.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        std::fs::write(&path, text).expect("a file");
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("chmod");
    }

    /// Writes another file of bytes beside the configuration, readable by its owner alone.
    pub(crate) fn write_bytes(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.file(name), bytes).expect("a file");
        std::fs::set_permissions(self.file(name), std::fs::Permissions::from_mode(0o600)).expect("chmod");
    }

    /// Whether there is a file of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.file(name).exists()
    }

    /// The path of a file beside the configuration.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_usher"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("USHER_")) {
            command.env_remove(name);
        }
        command.args(args).args(["--config", "usher.toml"]).current_dir(self.path()).stdin(Stdio::null());
        command
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Adds a user.
    pub(crate) fn add_user(&self, id: &str) {
        let mut command = self.command(&["user", "add", id, "--name", id, "--password-stdin"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the command runs");
        child.stdin.take().expect("a pipe").write_all(PASSWORD.as_bytes()).expect("written");
        let output = child.wait_with_output().expect("the command ends");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// What a command prints, however it ends.
    pub(crate) fn ask(&self, args: &[&str]) -> String {
        let output = self.command(args).output().expect("the command runs");
        String::from_utf8(output.stdout).expect("text")
    }

    /// What a command that fails prints on both outputs.
    pub(crate) fn ask_with_errors(&self, args: &[&str]) -> String {
        let output = self.command(args).output().expect("the command runs");
        assert!(!output.status.success(), "{args:?}");
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }

    /// What a command prints.
    pub(crate) fn run(&self, args: &[&str]) -> String {
        let output = self.command(args).output().expect("the command runs");
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    /// Starts the server and waits for it to listen.
    pub(crate) fn start(&self) -> Process {
        self.start_with_log().0
    }

    /// The same, with what it logs from then on.
    pub(crate) fn start_with_log(&self) -> (Process, Receiver<Value>) {
        Self::start_with(self.command(&["serve", "--log-format", "json"]))
    }

    /// The same with variables in its environment.
    pub(crate) fn start_with_environment(&self, variables: &[(&str, &str)]) -> Process {
        let mut command = self.command(&["serve", "--log-format", "json"]);
        command.envs(variables.iter().copied());
        Self::start_with(command).0
    }

    /// The same after a shell has set limits for it, such as `ulimit -n 256`.
    pub(crate) fn start_under(&self, limits: &str) -> Process {
        Self::start_with(self.command_under(limits, &["serve", "--log-format", "json"])).0
    }

    /// What a command prints that runs under such limits.
    pub(crate) fn run_under(&self, limits: &str, args: &[&str]) -> String {
        let output = self.command_under(limits, args).output().expect("the command runs");
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    fn command_under(&self, limits: &str, args: &[&str]) -> Command {
        let command = self.command(args);
        let mut shell = Command::new("sh");
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        shell
            .args(["-c", &format!("{limits}; exec \"$0\" \"$@\"")])
            .arg(command.get_program())
            .args(command.get_args());
        shell.current_dir(self.path()).stdin(Stdio::null());
        shell
    }

    /// The permissions of a file.
    pub(crate) fn mode_of(&self, name: &str) -> u32 {
        std::fs::metadata(self.path().join(name)).expect("the file").permissions().mode() & 0o7777
    }

    fn start_with(mut command: Command) -> (Process, Receiver<Value>) {
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the server starts");
        let mut log = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let mut seen = Vec::new();
        let address = loop {
            let line = log.next().unwrap_or_else(|| panic!("it never listened: {seen:?}")).expect("a line");
            let entry: Value = serde_json::from_str(&line).expect("JSON");
            if entry["message"] == "listening" {
                break entry["address"].as_str().expect("an address").to_owned();
            }
            seen.push(line);
        };
        // What it logs from now on is read, so that it is never kept waiting, also where no test looks at it.
        let lines = Arc::new(Mutex::new(seen));
        let kept = lines.clone();
        let (entries, received) = channel();
        std::thread::spawn(move || {
            for line in log.map_while(Result::ok) {
                let _ = entries.send(serde_json::from_str(&line).expect("JSON"));
                kept.lock().expect("no panic").push(line);
            }
        });
        (Process { child, url: Url::parse(&format!("http://{address}")).expect("a URL"), log: lines }, received)
    }
}

impl Process {
    /// As `kill -9` does.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it still ran");
        self.child.wait().expect("it has ended");
    }

    /// What it has logged with this text in it.
    pub(crate) fn logged(&self, text: &str) -> Vec<String> {
        self.log.lock().expect("no panic").iter().filter(|line| line.contains(text)).cloned().collect()
    }

    /// Changes a limit of its, such as `nofile` to `256:`.
    pub(crate) fn set_limit(&self, resource: &str, limit: &str) {
        let id = self.child.id().to_string();
        let set = Command::new("prlimit").args(["--pid", &id, &format!("--{resource}={limit}")]).status();
        assert!(set.expect("prlimit runs").success());
    }

    /// How many files it has open.
    pub(crate) fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("it runs, on Linux").count()
    }

    /// The processor time that it has used, in hundredths of a second.
    pub(crate) fn processor_ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("it runs, on Linux");
        let fields: Vec<&str> = stat.rsplit(')').next().expect("its fields").split_whitespace().collect();
        fields[11..13].iter().map(|ticks| ticks.parse::<u64>().expect("a number")).sum()
    }

    /// Its resident memory.
    pub(crate) fn resident_bytes(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs, on Linux");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its resident memory");
        let kilobytes: usize = line.trim().trim_end_matches(" kB").parse().expect("a number");
        kilobytes * 1024
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Waits for it to end by itself; its exit code.
    pub(crate) fn wait(mut self) -> Option<i32> {
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Logs in; `None` if the server is gone.
pub(crate) async fn log_in(http: &reqwest::Client, server: &str, user: &str) -> Option<Tokens> {
    let request = http.post(format!("{server}auth/login")).json(&json!({"user": user, "pwd": PASSWORD}));
    let answer = request.send().await.ok()?;
    assert_eq!(answer.status(), 200, "log-in");
    tokens(answer).await
}

/// Exchanges a refresh token; `None` if the server is gone, or the status it answered.
pub(crate) async fn refresh(http: &reqwest::Client, server: &str, token: &str) -> Option<Result<Tokens, u16>> {
    let request = http.post(format!("{server}auth/refresh")).json(&json!({"refresh_token": token}));
    let answer = request.send().await.ok()?;
    match answer.status().as_u16() {
        200 => tokens(answer).await.map(Ok),
        status => Some(Err(status)),
    }
}

async fn tokens(answer: reqwest::Response) -> Option<Tokens> {
    let body: Value = answer.json().await.ok()?;
    let text = |name: &str| body[name].as_str().expect("text").to_owned();
    Some(Tokens { access: text("token"), refresh: text("refresh_token") })
}
