//! What SQLite's result codes mean to a caller.

use std::path::Path;

use crate::OpenError;

/// SQLite's primary result code for a lock that another connection holds.
pub(super) const SQLITE_BUSY: i32 = 5;
/// For a file that is damaged, and for one that is no database.
const SQLITE_CORRUPT: i32 = 11;
const SQLITE_NOTADB: i32 = 26;

/// What SQLite said, as advice.
pub(super) fn failure(path: &Path, source: sqlx::Error) -> OpenError {
    let path = path.to_owned();
    match primary_code(&source) {
        Some(SQLITE_BUSY) => OpenError::Locked { path, source },
        Some(SQLITE_CORRUPT | SQLITE_NOTADB) => OpenError::NotADatabase { path, source },
        _ => OpenError::Open { path, source },
    }
}

/// SQLite's primary result code; sqlx gives the extended one, which holds it in its low byte.
pub(super) fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let code: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}
