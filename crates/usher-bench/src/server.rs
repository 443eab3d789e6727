//! A server that is measured, running.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use crate::accounts::add_user;
use crate::configuration::configuration;
use crate::mint::{AUDIENCE, Mint, Signed};
use crate::process::{Process, free_address};
use crate::subject::{Role, Subject, Way};
use crate::wire::Handshake;
use crate::{BenchError, Programs};

/// Usher's configuration, in its folder.
const CONFIG_FILE: &str = "usher.toml";

/// A server that is measured, running in a folder of its own.
pub(crate) struct Server {
    pub(crate) subject: Subject,
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    pub(crate) mint: Arc<Mint>,
    pub(crate) http: reqwest::Client,
    usher: PathBuf,
    /// Removed with the server.
    folder: TempDir,
}

/// What differs between one run of Usher and another. The others have no such settings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// What it logs. Nobody else logs anything, and the audit trail is on.
    pub(crate) log: &'static str,
    /// How long a client may be silent before it is pinged, if that is not the default.
    pub(crate) heartbeat: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { log: "warn", heartbeat: None }
    }
}

impl Server {
    /// Starts it.
    pub(crate) async fn start(
        subject: Subject,
        programs: &Programs,
        mint: &Arc<Mint>,
        settings: Settings,
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
            Subject::Usher => prepare_usher(folder.path(), address, programs, mint, settings)?,
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
        let usher = programs.usher.clone();
        Ok(Self { subject, process, address, mint: mint.clone(), http, usher, folder })
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

    /// Usher's program and its configuration, for commands beside the running server.
    pub(crate) fn command_line(&self) -> (&Path, PathBuf) {
        (&self.usher, self.folder.path().join(CONFIG_FILE))
    }

    /// The address of one of its pages.
    pub(crate) fn at(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

/// Writes Usher's configuration, and adds the user who is there from the start.
fn prepare_usher(
    folder: &Path,
    address: SocketAddr,
    programs: &Programs,
    mint: &Mint,
    settings: Settings,
) -> Result<Command, BenchError> {
    mint.write_key_files(folder)?;
    let config = folder.join(CONFIG_FILE);
    fs::write(&config, configuration(address, settings.heartbeat))
        .map_err(BenchError::io("cannot write a configuration"))?;
    add_user(&programs.usher, &config, 0)?;
    let mut command = Command::new(&programs.usher);
    command.args(["serve", "--log", settings.log, "--config"]).arg(config);
    Ok(command)
}
