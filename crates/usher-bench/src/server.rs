//! A server that is measured, running.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::mint::{AUDIENCE, Mint, Signed};
use crate::process::{Process, free_address};
use crate::subject::{Role, Subject, Way};
use crate::wire::Handshake;
use crate::{BenchError, Programs};

/// The local user, who has a password.
const USER: &str = "local";
const PASSWORD: &str = "a bench of oak beside the door";

/// A server that is measured, running in a folder of its own.
pub(crate) struct Server {
    pub(crate) subject: Subject,
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    pub(crate) mint: Arc<Mint>,
    http: reqwest::Client,
    /// Removed with the server.
    _folder: TempDir,
}

impl Server {
    /// Starts it; `log` is what Usher logs.
    pub(crate) async fn start(
        subject: Subject,
        programs: &Programs,
        mint: &Arc<Mint>,
        log: &str,
    ) -> Result<Self, BenchError> {
        let folder = TempDir::new().map_err(BenchError::io("no temporary folder"))?;
        let address = free_address()?;
        let port = address.port().to_string();
        let peer = |program: &Option<std::path::PathBuf>, script: &str| {
            let program =
                program.as_ref().ok_or_else(|| BenchError::Usage(format!("{} is missing", subject.name())))?;
            let mut command = Command::new(program);
            command.arg(programs.peer(script)).args([
                &port,
                mint.verifying(Signed::Hs256),
                &Signed::Hs256.issuer(),
                AUDIENCE,
            ]);
            Ok::<_, BenchError>(command)
        };
        let command = match subject {
            Subject::Usher => {
                let config = prepare_usher(folder.path(), address, programs, mint)?;
                let mut command = Command::new(&programs.usher);
                command.args(["serve", "--log", log, "--config"]).arg(config);
                command
            }
            Subject::Floor => {
                let mut command = Command::new(&programs.floor);
                command.arg(&port);
                command
            }
            Subject::NodeWs => peer(&programs.node, "node-ws.mjs")?,
            Subject::SocketIo => peer(&programs.node, "socket-io.mjs")?,
            Subject::FastApi => peer(&programs.python, "fastapi_app.py")?,
        };
        let process = Process::start(subject.name(), command, folder.path(), address).await?;
        let http = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { subject, process, address, mint: mint.clone(), http, _folder: folder })
    }

    /// How a client with that credential comes in.
    pub(crate) fn handshake(&self, way: &Way) -> Handshake {
        self.handshake_as(Role::Client, way)
    }

    /// The same, for what it is there for.
    pub(crate) fn handshake_as(&self, role: Role, way: &Way) -> Handshake {
        self.subject.handshake(role, way, &self.address.to_string())
    }

    /// How the user of that number comes in by a new HS256 token.
    pub(crate) fn user(&self, number: usize, role: Role) -> Result<Handshake, BenchError> {
        Ok(self.handshake_as(role, &Way::Header(self.mint.token(Signed::Hs256, number)?)))
    }

    /// How so many users come in, each by a new token of their own.
    pub(crate) fn users(&self, count: usize, role: Role) -> Result<Vec<Handshake>, BenchError> {
        (0..count).map(|number| self.user(number, role)).collect()
    }

    /// Buys tickets: one buyer may hold so many of them, so there are many buyers.
    pub(crate) async fn tickets(&self, count: usize) -> Result<Vec<String>, BenchError> {
        const OF_ONE_BUYER: usize = 50;
        const AT_ONCE: usize = 16;
        let buyers = 0..count.div_ceil(OF_ONE_BUYER);
        let tokens = buyers.map(|buyer| self.mint.token(Signed::Hs256, buyer)).collect::<Result<Vec<_>, _>>()?;
        let buying = (0..count).map(|number| self.ticket(&tokens[number / OF_ONE_BUYER]));
        stream::iter(buying).buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn ticket(&self, token: &str) -> Result<String, BenchError> {
        let answer = self.http.get(self.at("/ws_ticket")).bearer_auth(token).send().await?.error_for_status()?;
        text(&answer.json().await?, "ticket")
    }

    /// Logs the local user in; the session's cookie.
    pub(crate) async fn log_in(&self) -> Result<String, BenchError> {
        let body = json!({ "user": USER, "pwd": PASSWORD }).to_string();
        let call = self.http.post(self.at("/auth/login")).header("content-type", "application/json").body(body);
        let answer = call.send().await?.error_for_status()?;
        let cookie = answer.headers().get("set-cookie").and_then(|cookie| cookie.to_str().ok());
        let value = cookie.and_then(|cookie| cookie.strip_prefix("usher=")?.split(';').next());
        value.map(str::to_owned).ok_or(BenchError::Peer("a log-in without a cookie"))
    }

    /// Logs out: the session of that cookie, or everything of its user's. Returns once the server has answered.
    pub(crate) async fn log_out(&self, cookie: &str, everywhere: bool) -> Result<(), BenchError> {
        let call = self.http.post(self.at(&format!("/auth/logout?everywhere={everywhere}")));
        let call = call.header("cookie", format!("usher={cookie}")).header("origin", self.at(""));
        call.send().await?.error_for_status()?;
        Ok(())
    }

    fn at(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

fn text(answer: &Value, name: &str) -> Result<String, BenchError> {
    answer[name].as_str().map(str::to_owned).ok_or(BenchError::Peer("an answer without what was asked for"))
}

/// Writes Usher's configuration and adds its user.
fn prepare_usher(
    folder: &Path,
    address: SocketAddr,
    programs: &Programs,
    mint: &Mint,
) -> Result<std::path::PathBuf, BenchError> {
    mint.write_key_files(folder)?;
    let config = folder.join("usher.toml");
    fs::write(&config, configuration(address)).map_err(BenchError::io("cannot write a configuration"))?;
    let mut add = Command::new(&programs.usher);
    add.args(["user", "add", USER, "--name", "Local", "--password-stdin", "--config"]).arg(&config);
    let failed = || BenchError::io("cannot add a user");
    let mut add = add.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().map_err(failed())?;
    if let Some(mut input) = add.stdin.take() {
        input.write_all(PASSWORD.as_bytes()).map_err(failed())?;
    }
    let output = add.wait_with_output().map_err(failed())?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(BenchError::NotStarted { server: "usher", said });
    }
    Ok(config)
}

/// Defaults, but for limits that would throttle a generator which is a thousand clients at once.
fn configuration(address: SocketAddr) -> String {
    let mut config = format!(
        r#"[server]
listen = "{address}"
[store]
url = "sqlite://usher.db"
[tokens]
leeway = "0s"
ticket_ttl = "60s"
[audit]
sinks = ["file:audit.jsonl"]
[limits]
waiting = {{ total = 20000, per_ip = 20000 }}
connections = {{ per_user = 20000, per_session = 20000 }}
messages = "1000000/s"
[[routes]]
path = "/ws"
carriers = ["cookie", "ticket", "first_message", "header", "subprotocol", "query"]
first_message = {{ timeout = "60s" }}
[[rooms]]
pattern = "off-*"
join = ["any"]
publish = ["any"]
presence = "off"
[[rooms]]
pattern = "full-*"
join = ["any"]
publish = ["any"]
presence = "full"
"#
    );
    for signed in Signed::ALL {
        let key = if signed == Signed::Hs256 { "hmac_secret_file" } else { "public_key_file" };
        config.push_str(&format!(
            "[[issuers]]\nname = \"{}\"\nissuer = \"{}\"\naudience = \"{AUDIENCE}\"\nalgorithms = [\"{}\"]\n{key} = \"{}\"\n",
            signed.name().to_lowercase(),
            signed.issuer(),
            signed.name(),
            signed.key_file()
        ));
    }
    config
}
