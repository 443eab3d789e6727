//! The schema: whose the file is, and the migrations that bring it up to date.

use std::path::Path;

use sqlx::SqlitePool;
use sqlx::migrate::{MigrateError, Migrator};

use super::open::failure;
use crate::OpenError;

static MIGRATOR: Migrator = sqlx::migrate!("migrations/sqlite");

/// "Ushr", which the first migration writes into the file's header.
const APPLICATION_ID: i64 = 0x5573_6872;

/// Whether the file is a store of ours, or has nothing in it yet.
pub(super) async fn is_ours_or_empty(writer: &SqlitePool) -> Result<bool, sqlx::Error> {
    // One statement, so that it sees one state of the file: another process may be migrating it now.
    let (application, tables): (i64, i64) = sqlx::query_as(
        "SELECT (SELECT application_id FROM pragma_application_id), (SELECT count(*) FROM sqlite_schema)",
    )
    .fetch_one(writer)
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
