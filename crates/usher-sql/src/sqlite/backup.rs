//! A copy of the whole store in a file of its own, made while the store is in use.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};

use super::SqlStore;
use super::open;
use crate::SqlOptions;

/// Why no copy was made. Nothing is left of it.
#[derive(Debug, thiserror::Error)]
pub enum BackUpError {
    /// A file of that name is there.
    #[error("{} is there already: name a new file", .0.display())]
    Exists(PathBuf),
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

impl SqlStore {
    /// Copy the store, as it is at one moment, to the new file `to` of mode 0600, durably. Writing goes on meanwhile.
    pub async fn back_up(&self, to: &Path) -> Result<(), BackUpError> {
        let path = to.to_owned();
        create(&path).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => BackUpError::Exists(path.clone()),
            _ => BackUpError::Create { path: path.clone(), source },
        })?;
        let copied = self.copy_to(&path).await;
        if copied.is_err() {
            let _ = fs::remove_file(&path);
        }
        copied
    }

    async fn copy_to(&self, path: &Path) -> Result<(), BackUpError> {
        let failed = |source| BackUpError::Copy { path: path.to_owned(), source };
        // A connection of its own: the readers may not write, not even another file, and the writer is needed.
        let mut connection = open::connection(&self.path, SqlOptions::default()).connect().await.map_err(failed)?;
        let name = path.to_string_lossy();
        let copy = sqlx::query(AssertSqlSafe("VACUUM INTO ?".to_owned())).bind(&*name).execute(&mut connection).await;
        copy.map_err(failed)?;
        connection.close().await.map_err(failed)?;
        let synced = || {
            fs::File::open(path)?.sync_all()?;
            fs::File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
        };
        synced().map_err(|source| BackUpError::Sync { path: path.to_owned(), source })
    }
}

/// The file must be new, and is made before SQLite writes to it, which would go by the umask: hashes of passwords are in it.
fn create(path: &Path) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(|_| ())
}
