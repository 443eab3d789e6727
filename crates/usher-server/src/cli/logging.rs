//! The log, on standard error.

use std::io::{self, IsTerminal as _};

use tracing::Metadata;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt};

use super::CommandError;
use super::args::{LogArgs, LogFormat};

/// The most that crates other than ours may log, whatever the operator's filter says: below this they print what passes through
/// them, and that holds credentials (req N3). tungstenite's trace has whole messages, hyper's and rustls's have bytes and headers.
const OTHERS: LevelFilter = LevelFilter::INFO;

/// Starts logging for a server.
pub(super) fn start(args: &LogArgs) -> Result<(), CommandError> {
    let filter = EnvFilter::try_new(&args.log)
        .map_err(|error| CommandError::Failed(format!("{:?} is no log filter: {error}", args.log)))?;
    let log = tracing_subscriber::registry().with(filter).with(filter_fn(may_be_logged));
    let lines = fmt::layer().with_writer(io::stderr);
    match args.log_format {
        LogFormat::Text => log.with(lines.with_ansi(io::stderr().is_terminal())).init(),
        LogFormat::Json => log.with(lines.json().flatten_event(true)).init(),
    }
    Ok(())
}

fn may_be_logged(event: &Metadata<'_>) -> bool {
    is_ours(event.target()) || *event.level() <= OTHERS
}

fn is_ours(target: &str) -> bool {
    let name = target.split("::").next().unwrap_or(target);
    name == "usher" || name.starts_with("usher_")
}

/// For commands that finish by themselves: only what went wrong.
pub(super) fn quiet() {
    tracing_subscriber::fmt().with_max_level(tracing::Level::ERROR).with_writer(io::stderr).without_time().init();
}
