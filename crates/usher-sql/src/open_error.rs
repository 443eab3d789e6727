//! Why a store could not be opened, and what to do about it.

use std::io;
use std::path::PathBuf;

/// A store that could not be opened. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL names another kind of store. The rest of it is not repeated: it may hold a password.
    #[error("a store of the kind '{scheme}' is not supported: use sqlite:// and the path of a file")]
    Scheme {
        /// What stands before the colon.
        scheme: String,
    },
    /// The URL names no file.
    #[error("the store's URL '{url}' {problem}: use sqlite:// and the path of a file, such as sqlite://usher.db")]
    Url {
        /// The URL; one of SQLite holds no secret.
        url: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The file is not there and cannot be made.
    #[error("the store {} cannot be created: its directory must exist and be writable by this user", path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file cannot be opened, read or written.
    #[error("the store {} cannot be opened: it must be a file that this user may read and write, and so must its directory", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: sqlx::Error,
    },
    /// Another program holds the file.
    #[error("the store {} is locked by another program: stop that one, or try again when it has finished", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: sqlx::Error,
    },
    /// The file is not a database.
    #[error("{} is not a database, or a damaged one: name another file, or restore this one from a backup", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: sqlx::Error,
    },
    /// The file is another program's database.
    #[error("{} is the database of another program: name another file", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file system cannot do what durable writes by several processes need.
    #[error("the store {} is on a file system without shared memory for SQLite's write-ahead log: put it on a local disk", path.display())]
    WriteAheadLog {
        /// The file.
        path: PathBuf,
    },
    /// A newer version of this program has written to the file.
    #[error(
        "the store {} was written by a newer version of usher (its schema is at version {version}, this program knows {known}): \
         use that version, or restore a backup from before the upgrade",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The first version of the schema that this program does not know.
        version: i64,
        /// The newest version that it knows.
        known: i64,
    },
    /// The file's schema is not what this program's migrations make.
    #[error("the schema of the store {} is not one of usher's (migration {version} differs): restore it from a backup", path.display())]
    Altered {
        /// The file.
        path: PathBuf,
        /// The migration that differs.
        version: i64,
    },
    /// A migration failed; the file is as it was before.
    #[error("the store {} could not be migrated and is unchanged: make sure there is space on its disk, and try again", path.display())]
    Migrate {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: sqlx::migrate::MigrateError,
    },
}
