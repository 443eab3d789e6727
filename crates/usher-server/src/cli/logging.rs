//! The log, on standard error.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;

use super::CommandError;
use super::args::{LogArgs, LogFormat};

/// Starts logging for a server.
pub(super) fn start(args: &LogArgs) -> Result<(), CommandError> {
    let filter = EnvFilter::try_new(&args.log)
        .map_err(|error| CommandError::Failed(format!("{:?} is no log filter: {error}", args.log)))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match args.log_format {
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
    Ok(())
}

/// For commands that finish by themselves: only what went wrong.
pub(super) fn quiet() {
    tracing_subscriber::fmt().with_max_level(tracing::Level::ERROR).with_writer(io::stderr).without_time().init();
}
