//! One process at a time has the data, whichever way it opens it.

use std::path::Path;

use super::*;
use crate::config::Config;

fn config(folder: &Path) -> ResolvedConfig {
    let mut config = Config::default();
    config.store.url = format!("sqlite://{}", folder.join("usher.db").display());
    config.resolve().expect("a configuration").0
}

fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_command_finds_the_server_that_has_the_data() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = config(folder.path());
    let backends = open(&config).await.expect("opened");
    assert!(matches!(reach(&config, IfMissing::Report).await, Ok(Reached::Server(_))));
    backends.close().await;
    assert!(matches!(reach(&config, IfMissing::Report).await, Ok(Reached::Server(_))), "closed, but the lock is held");
    drop(backends);
    let reached = reach(&config, IfMissing::Report).await.expect("reached");
    let Reached::Opened { backends, new: false } = reached else { panic!("no server runs, and the data is there") };
    assert!(!backends.has_sessions().await.expect("readable"));
}

#[tokio::test]
async fn where_there_is_no_data_none_is_made_unless_asked_for() {
    // req N5
    let folder = tempfile::tempdir().expect("a folder");
    let config = config(folder.path());
    assert!(matches!(reach(&config, IfMissing::Report).await, Ok(Reached::Missing)));
    let Looked { problems, audit_begun } = look(&config).await;
    assert_eq!((problems, audit_begun), (Vec::new(), Some(false)));
    assert_eq!(files(folder.path()), [""; 0]);
    assert!(matches!(reach(&config, IfMissing::Create).await, Ok(Reached::Opened { new: true, .. })));
    assert!(matches!(reach(&config, IfMissing::Create).await, Ok(Reached::Opened { new: false, .. })));
}

#[tokio::test]
async fn a_look_names_everything_that_is_in_the_way() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = config(folder.path());
    std::fs::write(&config.store.database, "this is no database at all").expect("written");
    for path in [config.store.lock_file(), config.store.control_socket()] {
        std::fs::create_dir(path).expect("a folder");
    }
    let Looked { problems, audit_begun } = look(&config).await;
    assert_eq!(audit_begun, None);
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert!(problems[2].contains("is not a database"), "{problems:?}");
}

#[tokio::test]
async fn a_database_has_one_lock_whatever_it_is_called() {
    // req H5: what a server remembers of sessions holds until it is told, so no other process may change them unheard.
    let (folder, elsewhere) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let real = config(folder.path());
    let backends = open(&real).await.expect("opened");
    let linked = config(elsewhere.path());
    let between = elsewhere.path().join("between");
    std::os::unix::fs::symlink(&real.store.database, &between).expect("a link");
    std::os::unix::fs::symlink("between", &linked.store.database).expect("a link to it");
    assert!(matches!(reach(&linked, IfMissing::Report).await, Ok(Reached::Server(_))));
    assert!(linked.store.has_file(&real.store.database), "a copy must not be written over it");
    backends.close().await;
    drop(backends);
    assert!(matches!(reach(&linked, IfMissing::Report).await, Ok(Reached::Opened { new: false, .. })));
    assert_eq!(files(elsewhere.path()), ["between", "usher.db"]);
}

#[tokio::test]
async fn a_database_with_two_names_is_not_opened() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = config(folder.path());
    let backends = open(&config).await.expect("opened");
    backends.close().await;
    drop(backends);
    std::fs::hard_link(&config.store.database, folder.path().join("other.db")).expect("a second name");
    assert!(matches!(open(&config).await, Err(BackendError::SeveralNames(_))));
    let Looked { problems, .. } = look(&config).await;
    assert!(problems.len() == 1 && problems[0].contains("hard links"), "{problems:?}");
}

#[tokio::test]
async fn a_copy_gets_no_name_that_the_store_or_the_server_uses() {
    // Some of these are not there, and would be taken for what SQLite or the server left behind, and removed.
    let (folder, elsewhere) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let real = config(folder.path());
    drop(open(&real).await.expect("opened"));
    let linked = config(elsewhere.path());
    std::os::unix::fs::symlink(&real.store.database, &linked.store.database).expect("a link");
    let other_name = elsewhere.path().join("folder");
    std::os::unix::fs::symlink(folder.path(), &other_name).expect("a link");
    let backends = open(&linked).await.expect("opened");
    for suffix in ["-journal", "-wal", "-shm", ".lock", ".sock"] {
        for folder in [folder.path(), &other_name] {
            let error = backends.backup.back_up(&folder.join(format!("usher.db{suffix}"))).await.expect_err(suffix);
            assert!(error.contains("belongs to the store"), "{suffix}: {error}");
        }
    }
    for suffix in [".audit-key", ".address-key"] {
        let error = backends.backup.back_up(&elsewhere.path().join(format!("usher.db{suffix}"))).await;
        assert!(error.expect_err(suffix).contains("belongs to the store"), "{suffix}");
    }
    backends.backup.back_up(&folder.path().join("usher.db-copy")).await.expect("copied");
    // Names that a copy cannot have, or has until it is complete.
    let latin1 = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"b\xfcro.db");
    for (name, why) in [(latin1, "no name in UTF-8"), ("copy.partial".as_ref(), "not complete yet")] {
        let before = files(folder.path());
        let error = backends.backup.back_up(&folder.path().join(name)).await.expect_err(why);
        assert!(error.contains(why), "{error}");
        assert_eq!(files(folder.path()), before);
    }
}

#[tokio::test]
async fn a_copy_is_not_written_by_way_of_the_store_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = config(folder.path());
    config.store.database = folder.path().join("usher.db.partial");
    let backends = open(&config).await.expect("opened");
    let error = backends.backup.back_up(&folder.path().join("usher.db")).await.expect_err("it is the store");
    assert!(error.contains("belongs to the store"), "{error}");
    assert!(config.store.database.exists());
}
