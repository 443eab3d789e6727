//! A store in a directory of its own.

use std::path::{Path, PathBuf};

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};
use tempfile::TempDir;
use usher_sql::{OpenError, SqlOptions, SqlStore};

/// A directory that is removed in the end, and the file in it that is to be the store.
pub(crate) struct Place {
    pub(crate) directory: TempDir,
    pub(crate) file: PathBuf,
}

impl Place {
    pub(crate) fn new() -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let file = directory.path().join("usher.db");
        Self { directory, file }
    }

    pub(crate) async fn try_open(&self) -> Result<SqlStore, OpenError> {
        SqlStore::open(&url_of(&self.file), SqlOptions::default()).await
    }

    pub(crate) async fn open(&self) -> SqlStore {
        self.try_open().await.expect("the store opens")
    }

    /// Do something to the file behind the store's back.
    pub(crate) async fn meddle(&self, statements: &'static str) {
        let mut connection = self.connect().await;
        sqlx::raw_sql(statements).execute(&mut connection).await.expect("the statements run");
        connection.close().await.expect("the connection closes");
    }

    pub(crate) async fn connect(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(&self.file).create_if_missing(true).foreign_keys(false);
        options.connect().await.expect("a connection of another program")
    }
}

pub(crate) fn url_of(file: &Path) -> String {
    format!("sqlite://{}", file.display())
}

/// An error with all its causes, as an operator would read it.
pub(crate) fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
