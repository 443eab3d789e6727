//! One file, several processes: the command line beside the server.

#![expect(dead_code, reason = "not all of the common module is used here")]

mod common;

use std::env;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use common::{Place, url_of, whole};
use sqlx::Connection as _;
use tokio::process::Command;
use tokio::task::JoinSet;
use usher_auth::revocation::RevocationCause;
use usher_sql::{OpenError, SqlOptions, SqlStore};
use usher_store::conformance::fixtures::{
    at, refresh_token, revocation, secret, session, session_id, session_target, user,
};
use usher_store::{
    CreateUser, RefreshOutcome, RefreshRotation, RefreshTokenStore, RevocationStore, SessionStore, Store, StoreError,
    UserStore,
};

const WRITES: usize = 60;

/// Set for a child process: the file to open, and its name.
const CHILD: &str = "USHER_SQL_TEST_CHILD";

/// Sessions, users and revocations, one after the other. How many users were added.
async fn write(store: SqlStore, writer: String) -> usize {
    let mut added = 0;
    for n in 0..WRITES {
        let id = format!("{writer}-{n}");
        store.create_session(&session(&id, "alice", at(0))).await.expect("writers wait for one another");
        let created = store.create_user(&user(&format!("user-{n}")), None).await;
        added += usize::from(created.expect("writers wait for one another") == CreateUser::Created);
        let revocation = revocation(session_target(&id), RevocationCause::Logout, at(1));
        store.revoke(&revocation).await.expect("writers wait for one another");
    }
    added
}

async fn assert_all_written(store: &SqlStore, writers: usize, added: usize) {
    assert_eq!(added, WRITES, "each user was added once, by whomever");
    assert_eq!(store.users(None, u32::MAX).await.expect("the store works").len(), WRITES);
    assert_eq!(store.revocations().await.expect("the store works").len(), writers * WRITES);
    assert_eq!(store.sessions_of(&user("alice").id, None, u32::MAX).await.expect("the store works"), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_of_several_pools_do_not_fail() {
    let place = Place::new();
    let mut writers = JoinSet::new();
    for n in 0..4 {
        writers.spawn(write(place.open().await, n.to_string()));
    }
    let added = writers.join_all().await.into_iter().sum();
    assert_all_written(&place.open().await, 4, added).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_of_several_processes_do_not_fail() {
    if let Some((file, name)) = child() {
        let store = SqlStore::open(&url_of(&file), SqlOptions::default()).await.expect("all may open it at once");
        let added = write(store, name).await;
        report(&format!("added {added}"));
        return;
    }
    let place = Place::new();
    let mut children = JoinSet::new();
    for n in 0..3 {
        let child = this_test_as_child("writers_of_several_processes_do_not_fail", &place.file, &n.to_string());
        children.spawn(async move { child.wait_with_output().await.expect("the child ends") });
    }
    let mut added = 0;
    while let Some(output) = children.join_next().await {
        let output = output.expect("no panic");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
        let line = text.lines().find_map(|line| line.strip_prefix("added ")).expect("the child reports");
        added += line.parse::<usize>().expect("a number");
    }
    assert_all_written(&place.open().await, 3, added).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_file_can_be_opened_by_many_at_once() {
    for _ in 0..5 {
        let place = Arc::new(Place::new());
        let mut openers = JoinSet::new();
        for _ in 0..8 {
            let place = place.clone();
            openers.spawn(async move {
                let store = place.open().await;
                store.check().await.expect("it can be used");
            });
        }
        openers.join_all().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_token_is_rotated_once_across_pools() {
    // req L2
    let place = Place::new();
    let stores = [place.open().await, place.open().await, place.open().await];
    for round in 0..20 {
        let session = session(&format!("session-{round}"), "alice", at(0));
        stores[0].create_session(&session).await.expect("the store works");
        let first = refresh_token(&format!("first-{round}"), &session);
        stores[0].create_refresh_token(&first).await.expect("the store works");
        let mut racers = JoinSet::new();
        for (n, store) in stores.iter().cloned().enumerate() {
            let mut successor = first.clone();
            successor.secret = secret(&format!("second-{round}-{n}"));
            let rotation = RefreshRotation {
                family: secret("family"),
                presented: first.secret,
                successor,
                sealed_successor: vec![u8::try_from(n).expect("few")],
                now: at(1),
                used_at: at(1),
                retry_window: std::time::Duration::MAX,
                forget_reuse_at: at(9999),
            };
            racers.spawn(async move { store.rotate_refresh_token(&rotation).await.expect("the store works") });
        }
        let outcomes = racers.join_all().await;
        let rotated = outcomes.iter().filter(|outcome| matches!(outcome, RefreshOutcome::Rotated(_))).count();
        let retried = outcomes.iter().filter(|outcome| matches!(outcome, RefreshOutcome::Retried { .. })).count();
        assert_eq!((rotated, retried), (1, 2), "{outcomes:?}");
    }
}

#[tokio::test]
async fn what_one_writes_the_other_reads_at_once() {
    let place = Place::new();
    let (server, command_line) = (place.open().await, place.open().await);
    for n in 0..50 {
        let id = format!("session-{n}");
        server.create_session(&session(&id, "alice", at(0))).await.expect("the store works");
        let logout = revocation(session_target(&id), RevocationCause::Administrator, at(1));
        command_line.revoke(&logout).await.expect("the store works");
        assert_eq!(server.session(&session_id(&id)).await.expect("the store works"), None);
    }
}

#[tokio::test]
async fn a_writer_that_never_ends_is_an_error_and_reading_goes_on() {
    // req D9, O6
    let place = Place::new();
    let options = SqlOptions { busy_timeout: Duration::from_millis(50), ..SqlOptions::default() };
    let store = SqlStore::open(&url_of(&place.file), options).await.expect("the store opens");
    store.create_session(&session("before", "alice", at(0))).await.expect("the store works");

    let mut other = place.connect().await;
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.expect("the lock is free");
    let error: StoreError = store.create_session(&session("s", "alice", at(0))).await.expect_err("it is locked");
    assert!(whole(&error).contains("locked"), "{}", whole(&error));
    let logout = revocation(session_target("before"), RevocationCause::Logout, at(1));
    store.revoke(&logout).await.expect_err("a revocation that is not durable is not acknowledged");
    store.check().await.expect_err("not ready");
    assert!(store.session(&session_id("before")).await.expect("reading does not wait").is_some());
    let error = SqlStore::open(&url_of(&place.file), options).await.expect_err("it is locked");
    assert!(matches!(error, OpenError::Locked { .. }), "{error:?}");

    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.expect("its own lock");
    other.close().await.expect("the connection closes");
    store.revoke(&logout).await.expect("the store works again");
    store.check().await.expect("ready again");
}

#[cfg(unix)]
#[tokio::test]
async fn what_was_acknowledged_outlives_a_killed_process() {
    // req H3
    use tokio::io::{AsyncBufReadExt as _, BufReader};
    if let Some((file, _)) = child() {
        let store = SqlStore::open(&url_of(&file), SqlOptions::default()).await.expect("the store opens");
        for n in 0.. {
            let revocation = revocation(session_target(&n.to_string()), RevocationCause::Logout, at(1));
            store.revoke(&revocation).await.expect("the store works");
            report(&format!("acknowledged {n}"));
        }
    }
    let place = Place::new();
    let mut child = this_test_as_child("what_was_acknowledged_outlives_a_killed_process", &place.file, "writer");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let mut acknowledged = 0;
    while let Some(line) = lines.next_line().await.expect("readable") {
        acknowledged += usize::from(line.starts_with("acknowledged "));
        if acknowledged == 50 {
            child.start_kill().expect("it is running");
        }
    }
    assert!(acknowledged >= 50, "the child ended early: {acknowledged}");
    child.wait().await.expect("the child ends");
    let found = place.open().await.revocations().await.expect("the store works").len();
    assert!(found >= acknowledged, "{found} of {acknowledged}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_full_disk_is_an_error_and_takes_nothing_back() {
    // req D9: the child may write no file larger than some 2 MB.
    if let Some((file, _)) = child() {
        let store = SqlStore::open(&url_of(&file), SqlOptions::default()).await.expect("there is room so far");
        for n in 0..100_000 {
            match store.create_session(&session(&format!("session-{n}"), "alice", at(0))).await {
                Ok(()) => report(&format!("acknowledged {n}")),
                Err(error) => {
                    report(&format!("refused {}", whole(&error)));
                    let logout = revocation(session_target("session-0"), RevocationCause::Logout, at(1));
                    store.revoke(&logout).await.expect_err("there is no room for it");
                    assert!(store.session(&session_id("session-0")).await.expect("readable").is_some());
                    return;
                }
            }
        }
        panic!("the disk never filled");
    }
    let place = Place::new();
    let name = "a_full_disk_is_an_error_and_takes_nothing_back";
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; ulimit -f 4000; exec \"$0\" --exact \"$1\" --nocapture"]);
    command.arg(env::current_exe().expect("this test")).arg(name).env(CHILD, &place.file);
    let output = command.output().await.expect("a shell");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let acknowledged = text.lines().filter(|line| line.starts_with("acknowledged ")).count();
    assert!(acknowledged > 0 && text.lines().any(|line| line.starts_with("refused ")), "{text}");

    let store = place.open().await;
    let sessions = store.sessions_of(&user("alice").id, None, u32::MAX).await.expect("the store works");
    assert_eq!(sessions.len(), acknowledged);
    assert_eq!(store.revocations().await.expect("the store works"), []);
    store.check().await.expect("with room it can be used again");
}

/// The file and the name, if this is a child.
fn child() -> Option<(PathBuf, String)> {
    let file = env::var_os(CHILD)?;
    Some((file.into(), env::var("USHER_SQL_TEST_NAME").unwrap_or_default()))
}

/// This test again, in another process, which finds itself to be a [`child`].
fn this_test_as_child(test: &str, file: &Path, name: &str) -> tokio::process::Child {
    let mut command = Command::new(env::current_exe().expect("this test"));
    command.args(["--exact", test, "--nocapture"]).env(CHILD, file).env("USHER_SQL_TEST_NAME", name);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command.spawn().expect("it can be started again")
}

/// A line for the parent, after which whatever is on this line already ends.
fn report(line: &str) {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{line}").and_then(|()| out.flush()).expect("the parent listens");
}
