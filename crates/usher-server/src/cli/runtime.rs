//! The runtimes that commands run in.

use std::io;

use nix::sys::signal::Signal;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

use super::CommandError;

/// For a server: as many threads as there are cores.
pub(super) fn of_a_server() -> io::Result<Runtime> {
    with_signals(Runtime::new()?)
}

/// For a command that finishes by itself.
fn of_a_command() -> io::Result<Runtime> {
    with_signals(Builder::new_current_thread().enable_all().build()?)
}

/// Runs a command that finishes by itself.
pub(super) fn block_on<T>(work: impl Future<Output = Result<T, CommandError>>) -> Result<T, CommandError> {
    of_a_command()?.block_on(work)
}

/// A limit on the size of files (`ulimit -f`) is met with SIGXFSZ, which ends a process that does not handle it. Once it is handled, the
/// write fails with an error instead, and whatever wrote can say so and go on. The handler stays when what would receive it is dropped.
fn with_signals(runtime: Runtime) -> io::Result<Runtime> {
    let entered = runtime.enter();
    drop(signal(SignalKind::from_raw(Signal::SIGXFSZ as i32))?);
    drop(entered);
    Ok(runtime)
}
