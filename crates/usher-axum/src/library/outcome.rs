//! How a connection is closed when its handler returns.

use std::fmt::Display;

use usher_auth::close_code::ApplicationClose;

/// The handler is done, and the connection ends (RFC 6455 §7.4.1).
const NORMAL: u16 = 1000;
/// The handler failed.
const INTERNAL_ERROR: u16 = 1011;

/// What a handler returns: `()` or `Ok(())` closes the connection with 1000, an error is logged as a warning and closes it with 1011. A handler that panics
/// closes it with 1011, too. Where the connection has ended before, nothing is closed any more.
pub trait HandlerOutcome: Send + 'static {
    /// What was wrong, if anything.
    fn error(self) -> Option<String>;
}

impl HandlerOutcome for () {
    fn error(self) -> Option<String> {
        None
    }
}

impl<E: Display + Send + 'static> HandlerOutcome for Result<(), E> {
    fn error(self) -> Option<String> {
        self.err().map(|error| error.to_string())
    }
}

/// The close of a handler that returned, or, until it has, of one that panicked.
pub(super) fn close(failed: bool) -> ApplicationClose {
    let (code, reason) = if failed { (INTERNAL_ERROR, "Internal error") } else { (NORMAL, "") };
    ApplicationClose::new(code, reason).expect("both codes may be sent")
}
