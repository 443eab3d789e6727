//! The schema: whose the file is, and the migrations that bring it up to date.

use std::path::Path;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{Executor, Sqlite, SqliteConnection, SqlitePool};

use super::result_codes::failure;
use crate::OpenError;

static MIGRATOR: Migrator = sqlx::migrate!("migrations/sqlite");

/// "Ushr", which the first migration writes into the file's header.
const APPLICATION_ID: i64 = 0x5573_6872;

/// Whether the file could be opened, as far as a look tells that changes nothing.
pub(super) async fn look(connection: &mut SqliteConnection, path: &Path) -> Result<(), OpenError> {
    let failed = |source| failure(path, source);
    if !is_ours_or_empty(&mut *connection).await.map_err(failed)? {
        return Err(OpenError::Foreign { path: path.to_owned() });
    }
    let migrated = "SELECT count(*) FROM sqlite_schema WHERE name = '_sqlx_migrations'";
    if sqlx::query_scalar::<_, i64>(migrated).fetch_one(&mut *connection).await.map_err(failed)? == 0 {
        return Ok(());
    }
    let newer = "SELECT min(version) FROM _sqlx_migrations WHERE version > ?";
    let newer = sqlx::query_scalar::<_, Option<i64>>(newer).bind(known_version()).fetch_one(connection).await;
    match newer.map_err(failed)? {
        Some(version) => Err(OpenError::Newer { path: path.to_owned(), version, known: known_version() }),
        None => Ok(()),
    }
}

/// Whether the file is a store of ours, or has nothing in it yet.
pub(super) async fn is_ours_or_empty(reader: impl Executor<'_, Database = Sqlite>) -> Result<bool, sqlx::Error> {
    // One statement, so that it sees one state of the file: another process may be migrating it now.
    let (application, tables): (i64, i64) = sqlx::query_as(
        "SELECT (SELECT application_id FROM pragma_application_id), (SELECT count(*) FROM sqlite_schema)",
    )
    .fetch_one(reader)
    .await?;
    Ok(application == APPLICATION_ID || (application == 0 && tables == 0))
}

/// Bring the schema up to date; its version.
///
/// All migrations run in one transaction that holds the lock from the start, so that of two processes the second finds the work
/// done, and a failure leaves the file as it was.
pub(super) async fn migrate(writer: &SqlitePool, path: &Path) -> Result<i64, OpenError> {
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await.map_err(|source| failure(path, source))?;
    MIGRATOR.run_direct(None, &mut *transaction, false).await.map_err(|error| migration_failure(path, error))?;
    transaction.commit().await.map_err(|source| failure(path, source))?;
    Ok(known_version())
}

/// The newest version that this program knows.
fn known_version() -> i64 {
    MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or(0)
}

fn migration_failure(path: &Path, error: MigrateError) -> OpenError {
    let path = path.to_owned();
    match error {
        MigrateError::VersionMissing(version) => OpenError::Newer { path, version, known: known_version() },
        MigrateError::VersionMismatch(version) => OpenError::Altered { path, version },
        source => OpenError::Migrate { path, source },
    }
}
