//! How a store is opened.

use std::time::Duration;

/// What may be tuned; the defaults are right for one server and the command line beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SqlOptions {
    /// How long a write waits for another process that is writing. Then it fails.
    pub busy_timeout: Duration,
    /// Connections for reading; each is a thread.
    pub readers: u32,
}

impl Default for SqlOptions {
    fn default() -> Self {
        Self { busy_timeout: Duration::from_secs(5), readers: 4 }
    }
}
