//! What is logged, test by test.
//!
//! One subscriber for the whole program: a call site that a test without one reaches first would stay silent for all. Each test has
//! a thread of its own, and so has its log.

use std::cell::RefCell;
use std::io;
use std::sync::LazyLock;

thread_local! {
    static LOG: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

static SUBSCRIBER: LazyLock<()> = LazyLock::new(|| {
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(|| ThreadLog).finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
});

struct ThreadLog;

impl io::Write for ThreadLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.with_borrow_mut(|log| log.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Begins an empty log.
pub(crate) fn begin() {
    LazyLock::force(&SUBSCRIBER);
    take();
}

/// What was logged on this thread since the last look.
pub(crate) fn take() -> String {
    String::from_utf8(LOG.take()).unwrap()
}
