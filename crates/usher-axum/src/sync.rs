//! The locks of what connections and revocations share. The models in `tests/models` put a scheduler's in their place.

pub(crate) use parking_lot::{Mutex, MutexGuard, RwLock};
