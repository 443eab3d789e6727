//! The file itself: made for its owner alone, and watched so that it stays the one that was opened.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Make the file if it is not there, readable and writable by its owner alone; SQLite gives its companions (`-wal`, `-shm`) the same
/// mode. One that is there keeps the mode its owner gave it.
///
/// The file is made here and not by SQLite, which would go by the umask: hashes of passwords are in it.
pub(super) fn create(path: &Path) -> io::Result<()> {
    // POSIX locks belong to a process and end when any descriptor of the file is closed. So the one opened here must be closed
    // before another thread of this process can hold locks on the new file.
    static CREATING: Mutex<()> = Mutex::new(());
    let _creating = CREATING.lock().unwrap_or_else(PoisonError::into_inner);

    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Which file is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileIdentity {
    #[cfg(unix)]
    device_and_inode: (u64, u64),
}

/// Another file, or none, is where the open one was.
#[derive(Debug, thiserror::Error)]
#[error("the file was removed or replaced while it was open; restart to use the one that is there now")]
struct Replaced;

impl FileIdentity {
    /// Of the file at `path`.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        #[cfg(unix)]
        let device_and_inode = {
            use std::os::unix::fs::MetadataExt as _;
            (metadata.dev(), metadata.ino())
        };
        #[cfg(not(unix))]
        let _ = metadata;
        Ok(Self {
            #[cfg(unix)]
            device_and_inode,
        })
    }

    /// Fails if the file at `path` is not this one any more. SQLite would go on writing to the old one, which nobody will read
    /// again: a revocation acknowledged there is lost at the next start, and one made by another process is never seen here.
    ///
    /// This is one `stat` of a file that is in use, which does not wait for a disk.
    pub(super) fn check(self, path: &Path) -> io::Result<()> {
        match Self::of(path) {
            Ok(found) if found == self => Ok(()),
            Ok(_) => Err(io::Error::other(Replaced)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(io::Error::other(Replaced)),
            Err(error) => Err(error),
        }
    }
}
