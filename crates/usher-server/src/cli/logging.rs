//! The log, on standard error.

use std::io::{self, IsTerminal as _};

use tracing::{Level, Metadata};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt};

use super::CommandError;
use super::args::{LogArgs, LogFormat};

/// Starts logging for a server.
pub(super) fn start(args: &LogArgs) -> Result<(), CommandError> {
    let filter = EnvFilter::try_new(&args.log)
        .map_err(|error| CommandError::Failed(format!("{:?} is no log filter: {error}", args.log)))?;
    let subscriber = tracing_subscriber::registry().with(filter_fn(is_discreet)).with(filter);
    let lines = fmt::layer().with_writer(io::stderr);
    match args.log_format {
        LogFormat::Text => subscriber.with(lines.with_ansi(io::stderr().is_terminal())).init(),
        LogFormat::Json => subscriber.with(lines.json().flatten_event(true)).init(),
    }
    Ok(())
}

/// Whether an event cannot hold what a client sent. tungstenite prints the frames that it reads, and a first message is a credential: no
/// filter brings that out (req N3).
fn is_discreet(event: &Metadata<'_>) -> bool {
    *event.level() <= Level::INFO || !event.target().contains("tungstenite")
}

/// For commands that finish by themselves: only what went wrong.
pub(super) fn quiet() {
    tracing_subscriber::fmt().with_max_level(tracing::Level::ERROR).with_writer(io::stderr).without_time().init();
}
