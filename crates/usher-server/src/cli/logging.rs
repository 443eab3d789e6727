//! The log, on standard error.

use super::args::LogArgs;
use crate::log::{LogSettings, start_quietly};

/// Starts logging for a server. What the command line says wins over the configuration.
pub(super) fn start(args: &LogArgs, configured: &LogSettings) {
    crate::log::start(&LogSettings {
        filter: args.log.as_ref().and_then(|given| given.0.clone()).unwrap_or_else(|| configured.filter.clone()),
        format: args.log_format.unwrap_or(configured.format),
    });
}

/// For commands that finish by themselves: only what went wrong.
pub(super) fn quiet() {
    start_quietly();
}
