//! `[log]`: what is logged on standard error, and how.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::resolver::Resolver;
use crate::log::{LogFilter, LogFormat, LogSettings};

/// What is logged on standard error, and how. The command line's --log and --log-format win, then the environment's USHER_LOG.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// A level (off, error, warn, info, debug, trace), or a list with levels for parts of the program, such as info,usher_axum=debug. Of
    /// crates that are not ours never more than info is logged, because they would log credentials.
    pub level: String,
    /// Lines for people, or one JSON object a line.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: LogFilter::default().to_string(), format: LogFormat::default() }
    }
}

impl Log {
    pub(super) fn resolve(&self, resolver: &mut Resolver<'_>) -> LogSettings {
        let filter = resolver.checked("log.level", self.level.parse::<LogFilter>());
        LogSettings { filter: filter.unwrap_or_default(), format: self.format }
    }
}
