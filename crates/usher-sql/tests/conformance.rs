//! The suite every backend must pass, each case on a new file.

use std::sync::Arc;

use tempfile::TempDir;
use usher_sql::{SqlOptions, SqlStore};
use usher_store::{AuditStore, Store};

async fn new_file() -> (Arc<dyn Store>, TempDir) {
    let directory = TempDir::new().expect("a temporary directory");
    let url = format!("sqlite://{}", directory.path().join("usher.db").display());
    let store = SqlStore::open(&url, SqlOptions::default()).await.expect("a new store");
    (Arc::new(store), directory)
}

usher_store::store_conformance!(new_file);

async fn new_trail() -> (Arc<dyn AuditStore>, TempDir) {
    let directory = TempDir::new().expect("a temporary directory");
    let url = format!("sqlite://{}", directory.path().join("usher.db").display());
    let store = SqlStore::open(&url, SqlOptions::default()).await.expect("a new store");
    (Arc::new(store), directory)
}

usher_store::audit_conformance!(new_trail);
