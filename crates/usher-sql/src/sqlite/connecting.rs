//! From a URL to a path, and how every connection to it is made.

use std::path::{Path, PathBuf};

use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};

use crate::{OpenError, SqlOptions};

pub(super) fn path_of(url: &str) -> Result<PathBuf, OpenError> {
    let wrong = |problem| OpenError::Url { url: url.to_owned(), problem };
    let Some((scheme, rest)) = url.split_once(':') else { return Err(wrong("has no scheme")) };
    if !scheme.eq_ignore_ascii_case("sqlite") {
        return Err(OpenError::Scheme { scheme: scheme.to_owned() });
    }
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    if rest.is_empty() {
        return Err(wrong("names no file"));
    }
    if rest.contains(":memory:") {
        return Err(wrong("names no file: what is in memory is forgotten"));
    }
    if rest.contains('?') {
        return Err(wrong("has parameters, of which there are none"));
    }
    let parsed: SqliteConnectOptions =
        format!("sqlite://{rest}").parse().map_err(|_| wrong("is not correctly percent-encoded"))?;
    // Absolute, so that a change of directory leads to no other file, and so that SQLite, which would take a relative name that begins
    // with "file:" for a URL, takes it for a path.
    std::path::absolute(parsed.get_filename()).map_err(|_| wrong("is not a path"))
}

pub(super) fn connection(path: &Path, options: SqlOptions) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .foreign_keys(true)
        .busy_timeout(options.busy_timeout)
        // With the write-ahead log SQLite syncs it at every commit only under FULL. Under NORMAL a power failure would undo the last
        // commits, and a revocation that was acknowledged must hold after it (req H3); what FULL costs is one sync a write.
        .synchronous(SqliteSynchronous::Full)
        // A plain sync on macOS leaves the data in the drive's cache. Elsewhere this does nothing.
        .pragma("fullfsync", "ON")
        .pragma("checkpoint_fullfsync", "ON")
}
