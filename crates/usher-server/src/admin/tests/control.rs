//! The lock and the control socket.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::Path;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

use super::*;
use crate::config::StoreSettings;

fn settings(folder: &Path) -> StoreSettings {
    StoreSettings { database: folder.join("usher.db") }
}

/// A server that has nothing but its control socket.
async fn serve(store: &StoreSettings) -> (tokio::task::JoinHandle<()>, Arc<Administration>) {
    let socket = ControlSocket::bind(store).await.expect("a socket");
    let administration = Arc::new(administration());
    let served = administration.clone();
    (tokio::spawn(async move { socket.serve(served).await }), administration)
}

async fn stop(server: tokio::task::JoinHandle<()>) {
    server.abort();
    assert!(server.await.expect_err("aborted").is_cancelled());
}

#[tokio::test]
async fn a_running_server_does_what_the_command_line_asks() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = settings(folder.path());
    let (server, administration) = serve(&store).await;
    let Way::Server(mut client) = find_way(&store).await.expect("a way") else { panic!("the store, beside a server") };
    let answer = client.execute(&add_user("alice")).await.expect("done");
    assert!(matches!(answer, Answer::Done { connections_ended: 0 }), "{answer:?}");
    let (_, hash) = administration.store.user_with_password(&user("alice")).await.expect("a store").expect("alice");
    assert_eq!(administration.passwords.verify(password("correct horse battery").0, hash).await, Ok(true));
    // One connection takes several operations, and a refusal does not end it.
    match client.execute(&add_user("alice")).await {
        Err(ControlError::Refused { code, message }) => {
            assert_eq!((code.as_str(), message.as_str()), ("user_exists", "there is a user alice already"));
        }
        other => panic!("{other:?}"),
    }
    let add = Operation::AddKey { user: user("alice"), label: "ci".to_owned(), lifetime_seconds: None };
    let Answer::KeyMade { key, .. } = client.execute(&add).await.expect("a key") else { panic!("no key") };
    assert!(key.0.starts_with("usk_"));
    stop(server).await;
    assert!(!store.control_socket().exists());
}

#[tokio::test]
async fn only_its_owner_may_use_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = settings(folder.path());
    let (server, _) = serve(&store).await;
    let metadata = fs::symlink_metadata(store.control_socket()).expect("the socket");
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(store.lock_file()).expect("the lock").permissions().mode() & 0o777, 0o600);
    stop(server).await;
}

#[tokio::test]
async fn what_is_no_operation_is_answered_without_being_repeated() {
    // req N3
    let folder = tempfile::tempdir().expect("a folder");
    let store = settings(folder.path());
    let (server, _) = serve(&store).await;
    let mut stream = BufReader::new(UnixStream::connect(store.control_socket()).await.expect("a connection"));
    for line in [
        "hunter2",
        "{}",
        r#"{"operation":"set_password","id":"alice","password":7,"hunter2":1}"#,
        r#"{"operation":"disable_user","id":"hunter 2"}"#,
    ] {
        stream.get_mut().write_all(format!("{line}\n").as_bytes()).await.expect("written");
        let mut answer = String::new();
        stream.read_line(&mut answer).await.expect("an answer");
        assert!(answer.contains("invalid_operation") && !answer.contains("hunter"), "{answer}");
    }
    // A line over the limit ends the connection, and nothing but the connection.
    stream.get_mut().write_all(&vec![b'x'; 64 * 1024 + 2]).await.expect("written");
    let mut answer = String::new();
    assert!(matches!(stream.read_line(&mut answer).await, Ok(0) | Err(_)), "{answer}");
    assert!(matches!(find_way(&store).await, Ok(Way::Server(_))));
    stop(server).await;
}

#[tokio::test]
async fn a_socket_that_was_left_behind_stands_in_nobodys_way() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = settings(folder.path());
    drop(std::os::unix::net::UnixListener::bind(store.control_socket()).expect("a socket"));
    assert!(store.control_socket().exists());
    assert!(matches!(find_way(&store).await, Ok(Way::Store(_))));
    let (server, _) = serve(&store).await;
    assert!(matches!(find_way(&store).await, Ok(Way::Server(_))));
    stop(server).await;
}

#[tokio::test(start_paused = true)]
async fn one_process_has_the_data() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = settings(folder.path());
    let Way::Store(lock) = find_way(&store).await.expect("a way") else { panic!("no server runs") };
    // A command is at work: neither a second one nor a server comes between.
    assert!(matches!(find_way(&store).await, Err(ControlError::InUse { .. })));
    assert!(matches!(ControlSocket::bind(&store).await, Err(ControlError::InUse { .. })));
    drop(lock);
    let first = ControlSocket::bind(&store).await.expect("a socket");
    assert!(matches!(ControlSocket::bind(&store).await, Err(ControlError::InUse { .. })));
    assert!(store.control_socket().exists(), "the second server left the first one's socket alone");
    drop(first);
    assert!(matches!(find_way(&store).await, Ok(Way::Store(_))));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_folder_with_a_long_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let long = folder.path().join("x".repeat(200));
    fs::create_dir(&long).expect("a folder");
    let store = settings(&long);
    let (server, _) = serve(&store).await;
    assert!(matches!(find_way(&store).await, Ok(Way::Server(_))));
    stop(server).await;
    assert!(!store.control_socket().exists());
}

#[tokio::test]
async fn a_command_that_gives_up_before_its_turn_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = settings(folder.path());
    let (server, administration) = serve(&store).await;
    administration.execute(add_user("alice")).await.expect("done");
    let turn = administration.turn(&Operation::RemoveUser { id: user("alice") }).await.expect("its turn");
    let mut stopped = UnixStream::connect(store.control_socket()).await.expect("a connection");
    let operation = serde_json::to_string(&Operation::RemoveUser { id: user("alice") }).expect("JSON");
    stopped.write_all(format!("{operation}\n").as_bytes()).await.expect("it is taken");
    // One that reads takes no turn: when it is answered, the other one waits; and when it is answered again, that one is known to be gone.
    let Way::Server(mut other) = find_way(&store).await.expect("a way") else { panic!("the store, beside a server") };
    let tail = Operation::TailAudit { limit: 1 };
    assert!(matches!(other.execute(&tail).await, Ok(_) | Err(ControlError::Refused { .. })));
    drop(stopped);
    assert!(matches!(other.execute(&tail).await, Ok(_) | Err(ControlError::Refused { .. })));
    drop(turn);
    // Its turn comes after that of the one that gave up.
    other.execute(&Operation::ListUsers { after: None, limit: 9 }).await.expect("done");
    assert!(administration.store.user(&user("alice")).await.expect("a store").is_some());
    stop(server).await;
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_does_not_come_is_told_and_nothing_is_changed() {
    let administration = administration();
    let _turn = administration.turn(&add_user("alice")).await.expect("its turn");
    let refused = administration.execute(add_user("bob")).await.expect_err("no turn");
    assert_eq!(refused.code(), "busy");
    assert!(refused.to_string().contains("nothing was changed"), "{refused}");
    assert!(administration.store.user(&user("bob")).await.expect("a store").is_none());
}
