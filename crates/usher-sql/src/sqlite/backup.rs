//! A copy of the whole store in a file of its own, made while the store is in use.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use tokio::sync::RwLock;

use super::SqlStore;
use super::connecting::connection;
use crate::SqlOptions;

/// Why no copy was made. Nothing is left of it.
#[derive(Debug, thiserror::Error)]
pub enum BackUpError {
    /// A file of that name is there.
    #[error("{} is there already: name a new file", .0.display())]
    Exists(PathBuf),
    /// SQLite takes names of UTF-8 alone.
    #[error("{} is no name in UTF-8: name another file", .0.display())]
    NotUtf8(PathBuf),
    /// The name of a copy that is not complete.
    #[error("{} ends as copies do that are not complete yet: name another file", .0.display())]
    Unfinished(PathBuf),
    /// The same copy is being made.
    #[error("{} is being written by another backup: wait for its end, or name another file", .0.display())]
    BeingMade(PathBuf),
    /// Something else has the name that the copy has until it is complete.
    #[error("{} is there already, and is no part of a backup: move it away, or name another file", .0.display())]
    InTheWay(PathBuf),
    /// The new file cannot be made.
    #[error("{} cannot be created: its folder must exist and be writable by the user that the server runs as", path.display())]
    Create {
        /// The new file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The copying failed.
    #[error("the store could not be copied to {}: make sure there is space on its disk, and try again", path.display())]
    Copy {
        /// The new file.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: sqlx::Error,
    },
    /// The store was closed, or the caller is gone.
    #[error("the backup to {} was stopped before it was complete: back up again", .0.display())]
    Stopped(PathBuf),
    /// The copy may not be on the disk.
    #[error("{} could not be written to its disk", path.display())]
    Sync {
        /// The new file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// The copies that are being made of a store. A cheap handle.
#[derive(Clone, Debug, Default)]
pub(super) struct Copies {
    stopped: Arc<AtomicBool>,
    /// Held for reading by each copy until nothing of it is open.
    running: Arc<RwLock<()>>,
}

impl Copies {
    /// Stops all copies, now and from now on, and waits until nothing of them is open or left behind.
    pub(super) async fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        drop(self.running.write().await);
    }
}

impl SqlStore {
    /// Copy the store, as it is at one moment, to the new file `to` of mode 0600, durably. Writing goes on meanwhile.
    ///
    /// It is written under another name, with `.partial` at its end, and has its own once it is complete. If the store is closed or the
    /// returned future is dropped, the copy is stopped and removed; if the process is killed, the partial file is left, and the next copy
    /// to the same file removes it.
    pub async fn back_up(&self, to: &Path) -> Result<(), BackUpError> {
        let copies = self.copies.clone();
        let running = copies.running.clone().read_owned().await;
        let given_up = GivenUp::default();
        let (from, path, caller) = (self.path.clone(), to.to_owned(), given_up.0.clone());
        // A task, so that what is left of it is removed also if the caller is gone.
        let copying = tokio::spawn(async move {
            let stopped = move || copies.stopped.load(Ordering::Relaxed) || caller.load(Ordering::Relaxed);
            let copied = copy(&from, &path, stopped).await;
            drop(running);
            copied
        });
        copying.await.unwrap_or_else(|_| Err(BackUpError::Stopped(to.to_owned())))
    }
}

/// Says so when it is dropped.
#[derive(Default)]
struct GivenUp(Arc<AtomicBool>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

async fn copy(from: &Path, to: &Path, stopped: impl Fn() -> bool + Clone + Send + 'static) -> Result<(), BackUpError> {
    let unfinished = partial_of(to);
    let name = unfinished.to_str().ok_or_else(|| BackUpError::NotUtf8(to.to_owned()))?;
    if to.as_os_str().as_encoded_bytes().ends_with(PARTIAL.as_bytes()) {
        return Err(BackUpError::Unfinished(to.to_owned()));
    }
    let partial = Partial::create(to)?;
    let failed = |source| {
        if stopped() {
            return BackUpError::Stopped(to.to_owned());
        }
        BackUpError::Copy { path: to.to_owned(), source }
    };
    // A connection of its own: the readers may not write, not even another file, and the writer is needed.
    let mut connection = connection(from, SqlOptions::default()).connect().await.map_err(failed)?;
    let goes_on = stopped.clone();
    // Asked at each jump of SQLite's program, which is at least once for each row.
    connection.lock_handle().await.map_err(failed)?.set_progress_handler(1, move || !goes_on());
    let copied = sqlx::query(AssertSqlSafe("VACUUM INTO ?".to_owned())).bind(name).execute(&mut connection).await;
    let closed = connection.close().await;
    copied.map_err(failed)?;
    closed.map_err(failed)?;
    partial.complete(to)
}

/// The file that is being written. Dropping it removes it.
struct Partial {
    path: PathBuf,
    /// Locked, so that a second copy to the same file is told apart from one that was left behind by a process that was killed.
    _file: File,
}

impl Partial {
    /// The file must be new, and is made before SQLite writes to it, which would go by the umask: hashes of passwords are in it.
    fn create(to: &Path) -> Result<Self, BackUpError> {
        let failed = |source| BackUpError::Create { path: to.to_owned(), source };
        if fs::symlink_metadata(to).is_ok() {
            return Err(BackUpError::Exists(to.to_owned()));
        }
        let path = partial_of(to);
        remove_left_behind(to, &path)?;
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => BackUpError::InTheWay(path.clone()),
            _ => failed(source),
        })?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => BackUpError::BeingMade(to.to_owned()),
            TryLockError::Error(source) => failed(source),
        })?;
        Ok(Self { path, _file: file })
    }

    /// Gives it its name, durably.
    fn complete(self, to: &Path) -> Result<(), BackUpError> {
        let failed = |source| BackUpError::Sync { path: to.to_owned(), source };
        File::open(&self.path).and_then(|file| file.sync_all()).map_err(failed)?;
        // Unlike a rename, a second link to the file replaces none that is there. Not every file system has links.
        match fs::hard_link(&self.path, to) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(BackUpError::Exists(to.to_owned()));
            }
            Err(_) if fs::symlink_metadata(to).is_ok() => return Err(BackUpError::Exists(to.to_owned())),
            Err(_) => fs::rename(&self.path, to).map_err(failed)?,
        }
        drop(self);
        File::open(folder_of(to)).and_then(|folder| folder.sync_all()).map_err(failed)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
        let _ = fs::remove_file(with_suffix(&self.path, "-journal"));
    }
}

/// What a database begins with (SQLite's file format, §1.3).
const SQLITE_HEADER: &[u8] = b"SQLite format 3\0";

/// Removes the partial file of a process that was killed: it is locked by none.
fn remove_left_behind(to: &Path, partial: &Path) -> Result<(), BackUpError> {
    let failed = |source| BackUpError::Create { path: to.to_owned(), source };
    let journal = with_suffix(partial, "-journal");
    match fs::symlink_metadata(partial) {
        // SQLite would take the journal for the new file's.
        Err(_) if fs::symlink_metadata(&journal).is_ok() => return Err(BackUpError::InTheWay(journal)),
        Err(_) => return Ok(()),
        Ok(found) if !found.is_file() => return Err(BackUpError::InTheWay(partial.to_owned())),
        Ok(_) => {}
    }
    let mut file = File::open(partial).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(BackUpError::BeingMade(to.to_owned())),
        Err(TryLockError::Error(source)) => return Err(failed(source)),
    }
    // Only what a copy of ours can have left.
    let mut beginning = Vec::new();
    Read::by_ref(&mut file).take(SQLITE_HEADER.len() as u64).read_to_end(&mut beginning).map_err(failed)?;
    if !beginning.is_empty() && beginning != SQLITE_HEADER {
        return Err(BackUpError::InTheWay(partial.to_owned()));
    }
    let _ = fs::remove_file(journal);
    fs::remove_file(partial).map_err(failed)
}

/// What the name of a copy ends with until it is complete.
const PARTIAL: &str = ".partial";

/// The name that the copy `to` has until it is complete.
pub fn partial_of(to: &Path) -> PathBuf {
    with_suffix(to, PARTIAL)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
#[path = "backup_tests.rs"]
mod tests;
