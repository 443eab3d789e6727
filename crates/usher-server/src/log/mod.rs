//! The operator's log: what is written, in which form, and that nothing a client sends can break out of its field.

mod filter;
mod form;
mod layer;

use std::io::{self, IsTerminal as _};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing::Metadata;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

pub use filter::{InvalidFilter, LogFilter};
use layer::LogLayer;

/// The most that crates other than ours may log, whatever the operator's filter says: below this they print what passes through
/// them, and that holds credentials (req N3). tungstenite's trace has whole messages, hyper's and rustls's have bytes and headers.
const OTHERS: LevelFilter = LevelFilter::INFO;

/// The form of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What is logged on standard error, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogSettings {
    /// What is logged.
    pub filter: LogFilter,
    /// In which form.
    pub format: LogFormat,
}

/// Starts logging for a server.
pub(crate) fn start(settings: &LogSettings) {
    let colored = settings.format == LogFormat::Text && io::stderr().is_terminal();
    let lines = LogLayer::new(settings.format, colored, true, io::stderr);
    tracing_subscriber::registry()
        .with(settings.filter.to_env_filter())
        .with(filter_fn(may_be_logged))
        .with(lines)
        .init();
}

/// Starts logging for a command that finishes by itself: only what went wrong.
pub(crate) fn start_quietly() {
    let lines = LogLayer::new(LogFormat::Text, io::stderr().is_terminal(), false, io::stderr);
    tracing_subscriber::registry().with(LevelFilter::ERROR).with(lines).init();
}

fn may_be_logged(event: &Metadata<'_>) -> bool {
    is_ours(event.target()) || *event.level() <= OTHERS
}

fn is_ours(target: &str) -> bool {
    let name = target.split("::").next().unwrap_or(target);
    name == "usher" || name.starts_with("usher_")
}
