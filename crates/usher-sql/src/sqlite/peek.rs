//! A look at a store that changes nothing: not the schema, and no file beside it.

use std::path::PathBuf;

use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};

use super::SqlStore;
use super::connecting::{connection, path_of};
use super::result_codes::failure;
use super::schema;
use crate::{OpenError, SqlOptions};

impl SqlStore {
    /// Whether an audit chain has begun in the store at `url`; false if there is no such file. Fails where [`SqlStore::open`] would: the file
    /// is no database, another program's, or a newer version's.
    pub async fn has_audit_chain(url: &str) -> Result<bool, OpenError> {
        let path = path_of(url)?;
        if !path.exists() {
            return Ok(false);
        }
        let failed = |source| failure(&path, source);
        // Without a write-ahead log no process has the file open. It is then read without making one, and without locks.
        let mut log = path.clone().into_os_string();
        log.push("-wal");
        let options = connection(&path, SqlOptions::default()).read_only(true).immutable(!PathBuf::from(log).exists());
        let mut store = options.connect().await.map_err(failed)?;
        let usable = schema::look(&mut store, &path).await;
        let begun = look(&mut store).await.map_err(failed);
        store.close().await.map_err(failed)?;
        usable?;
        begun
    }
}

async fn look(store: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    let table = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'audit_chains'";
    // Every version of the schema but the first ones has it.
    if sqlx::query_scalar::<_, i64>(table).fetch_one(&mut *store).await? == 0 {
        return Ok(false);
    }
    let chains = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM audit_chains").fetch_one(store).await?;
    Ok(chains > 0)
}

#[cfg(test)]
mod tests {
    use usher_store::{AuditStore as _, ChainHead};

    use super::*;

    #[tokio::test]
    async fn a_look_changes_nothing() {
        // req N5
        let folder = tempfile::TempDir::new().expect("a temporary directory");
        let path = folder.path().join("usher.db");
        let url = format!("sqlite://{}", path.display());
        assert!(!SqlStore::has_audit_chain(&url).await.expect("there is nothing"));
        assert!(!path.exists());
        let store = SqlStore::open(&url, SqlOptions::default()).await.expect("a new store");
        assert!(!SqlStore::has_audit_chain(&url).await.expect("readable while it is open"));
        store.append_audit("store", &ChainHead { number: 1, mac: [0; 32] }, &[]).await.expect("it works");
        assert!(SqlStore::has_audit_chain(&url).await.expect("readable while it is open"));
        store.close().await;
        let files = || std::fs::read_dir(folder.path()).expect("a folder").count();
        let before = files();
        assert!(SqlStore::has_audit_chain(&url).await.expect("readable when it is closed"));
        assert_eq!(files(), before);
        std::fs::write(&path, "x".repeat(4096)).expect("written");
        assert!(matches!(SqlStore::has_audit_chain(&url).await, Err(OpenError::NotADatabase { .. })));
    }
}
