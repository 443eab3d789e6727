//! The locks and tasks of what connections and revocations share. The models in `tests/models` put a scheduler's in their place.

pub(crate) use parking_lot::{Mutex, MutexGuard, RwLock};
use tokio::runtime::Handle;

/// Runs `task` in the runtime that this is called in; outside one it is dropped.
pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(task);
    }
}

/// How many tasks can run at the same time.
pub(crate) fn workers() -> usize {
    Handle::try_current().map_or(1, |runtime| runtime.metrics().num_workers())
}
