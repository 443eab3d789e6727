//! The log, on standard error: what the command line says of it.

use std::str::FromStr;

use clap::Args;

use crate::log::{InvalidFilter, LogFilter, LogFormat, LogSettings, start_quietly};

#[derive(Debug, Args)]
pub(super) struct LogArgs {
    /// What is logged, such as warn or info,usher_axum=debug [default: log.level of the configuration]
    ///
    /// A level (off, error, warn, info, debug, trace), or a list with levels for parts of the program. Of crates that are not ours never
    /// more than info is logged, because they would log credentials.
    #[arg(long, value_name = "FILTER", env = "USHER_LOG")]
    pub(super) log: Option<GivenFilter>,
    /// The form of the log on standard error [default: log.format of the configuration]
    #[arg(long, value_name = "FORM")]
    pub(super) log_format: Option<LogFormat>,
}

/// A filter; an empty one is as good as none, because that is how an environment variable is often unset.
#[derive(Clone, Debug)]
pub(super) struct GivenFilter(pub(super) Option<LogFilter>);

impl FromStr for GivenFilter {
    type Err = InvalidFilter;

    fn from_str(text: &str) -> Result<Self, InvalidFilter> {
        if text.is_empty() { Ok(Self(None)) } else { text.parse().map(Some).map(Self) }
    }
}

/// Starts logging for a server. What the command line says wins over the configuration.
pub(super) fn start(args: &LogArgs, configured: &LogSettings) {
    let given = args.log.as_ref().and_then(|given| given.0.clone());
    crate::log::start(&LogSettings {
        filter: given.unwrap_or_else(|| configured.filter.clone()),
        format: args.log_format.unwrap_or(configured.format),
    });
}

/// For commands that finish by themselves: only what went wrong.
pub(super) fn quiet() {
    start_quietly();
}
