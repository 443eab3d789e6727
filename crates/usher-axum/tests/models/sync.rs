//! The scheduler's locks and threads, with the interface of the crate's own.

use std::fmt;

pub(crate) use shuttle::sync::MutexGuard;

pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);
pub(crate) struct RwLock<T>(shuttle::sync::RwLock<T>);

pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    shuttle::thread::spawn(|| shuttle::future::block_on(task));
}

pub(crate) fn workers() -> usize {
    2
}

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(shuttle::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().expect("not poisoned")
    }

    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock().ok()
    }
}

impl<T> RwLock<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(shuttle::sync::RwLock::new(value))
    }

    pub(crate) fn read(&self) -> shuttle::sync::RwLockReadGuard<'_, T> {
        self.0.read().expect("not poisoned")
    }

    pub(crate) fn write(&self) -> shuttle::sync::RwLockWriteGuard<'_, T> {
        self.0.write().expect("not poisoned")
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self(shuttle::sync::Mutex::new(T::default()))
    }
}

impl<T> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mutex")
    }
}

impl<T> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RwLock")
    }
}
