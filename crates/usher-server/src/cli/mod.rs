//! The command line.
//!
//! Results go to standard output, everything else to standard error. Exit codes: 0 done, 1 not done (the reason is on standard
//! error) or answered with no, 2 used wrongly.

mod args;
mod audit;
mod config;
mod demo;
mod hand;
mod logging;
mod manage;
mod output;
mod password;
mod runtime;
mod serve;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;

use crate::admin::{AdminError, ControlError};
use crate::backends::BackendError;
use crate::config::ConfigErrors;
use crate::error_text::with_sources;
use crate::run::RunError;
use args::{Cli, Command};
use usher_audit::AuditKeyError;

/// Why a command was not done.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error("{0}")]
    Config(#[from] ConfigErrors),
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error(transparent)]
    Admin(#[from] AdminError),
    #[error(transparent)]
    AuditKey(#[from] AuditKeyError),
    #[error("{0}: {source}", source = .0.source)]
    Store(#[from] usher_store::StoreError),
    #[error("{}", with_sources(.0))]
    Backend(#[from] BackendError),
    #[error("{}", with_sources(.0))]
    Run(#[from] RunError),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Usage(&'static str),
    #[error("{0}")]
    Failed(String),
}

/// What a command that was done answers.
enum Outcome {
    Yes,
    No,
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.command {
        Command::Demo(args) => demo::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Check(args) => config::check(&args),
        Command::User(args) => manage::user(args),
        Command::Key(args) => manage::key(args),
        Command::Session(args) => manage::session(args),
        Command::Explain(args) => manage::explain(args),
        Command::Audit(args) => audit::run(args),
        Command::Backup(args) => manage::backup(&args),
        Command::Config(args) => config::print(&args),
        Command::Migrate(args) => manage::migrate(&args),
    };
    match outcome {
        Ok(Outcome::Yes) => ExitCode::SUCCESS,
        Ok(Outcome::No) => ExitCode::FAILURE,
        // Whoever read our output has stopped reading: `usher user list | head`.
        Err(CommandError::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            // It may repeat what a client or the store says; its own lines stay lines.
            let text = error.to_string().lines().map(output::printable).collect::<Vec<_>>().join("\n");
            let _ = writeln!(io::stderr(), "usher: {text}");
            ExitCode::from(if matches!(error, CommandError::Usage(_)) { 2 } else { 1 })
        }
    }
}
