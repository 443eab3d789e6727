//! The server's side.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::unix::OwnedReadHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::super::{Administration, Operation, StoreLock};
use super::address::Address;
use super::wire::{MAX_ANSWER_BYTES, MAX_REQUEST_BYTES, Reply, read_line, write_line};
use super::{ControlError, LOCK_PATIENCE, LOCK_POLL};
use crate::config::StoreSettings;

/// Most commands that are served at once; the next one waits to be accepted.
const MAX_CONNECTIONS: usize = 8;
/// Longest wait for a request, and for an answer to be taken.
const PATIENCE: Duration = Duration::from_secs(10);

/// The data's lock and the socket beside it. Dropping it takes both away.
#[derive(Debug)]
pub struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
    /// Our own user, the only one (with root) that is listened to.
    owner: u32,
    _lock: StoreLock,
}

impl ControlSocket {
    /// Takes the lock of the data and puts the socket beside it. To be called before the store is opened: commands that come
    /// from then on wait until [`ControlSocket::serve`] runs.
    pub async fn bind(store: &StoreSettings) -> Result<Self, ControlError> {
        let lock = take_lock(store).await?;
        let path = store.control_socket();
        let failed = |source| ControlError::Path { path: path.clone(), source };
        // Whoever left a socket behind has ended, or we would not have the lock.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let address = Address::of(&path).map_err(failed)?;
        let listener = UnixListener::bind(address.path()).map_err(failed)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(failed)?;
        let owner = own_user().map_err(failed)?;
        Ok(Self { listener, path, owner, _lock: lock })
    }

    /// Carries out what is asked for, until it is dropped.
    pub async fn serve(&self, administration: Arc<Administration>) {
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut connections = JoinSet::new();
        loop {
            let place = places.clone().acquire_owned().await;
            while connections.try_join_next().is_some() {}
            match self.listener.accept().await {
                Ok((stream, _)) if self.is_owner(&stream) => {
                    let administration = administration.clone();
                    connections.spawn(async move {
                        if let Err(error) = converse(stream, &administration).await {
                            tracing::debug!(%error, "a control connection broke");
                        }
                        drop(place);
                    });
                }
                Ok(_) => tracing::warn!("another user tried the control socket"),
                Err(error) => {
                    // Out of file descriptors, most likely: trying again at once would only spin.
                    tracing::warn!(%error, "the control socket cannot accept");
                    sleep(LOCK_POLL).await;
                }
            }
        }
    }

    /// The socket's mode keeps others out; this holds even where a file system does not.
    fn is_owner(&self, stream: &UnixStream) -> bool {
        stream.peer_cred().is_ok_and(|peer| peer.uid() == self.owner || peer.uid() == 0)
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(%error, "the control socket was gone already");
        }
    }
}

async fn take_lock(store: &StoreSettings) -> Result<StoreLock, ControlError> {
    let path = store.lock_file();
    let wait_for = async {
        loop {
            match StoreLock::try_take(&path) {
                Ok(Some(lock)) => return Ok(lock),
                // A command that opened the store itself has it for a moment.
                Ok(None) => sleep(LOCK_POLL).await,
                Err(source) => return Err(ControlError::Path { path: path.clone(), source }),
            }
        }
    };
    timeout(LOCK_PATIENCE, wait_for).await.unwrap_or(Err(ControlError::InUse { path: path.clone() }))
}

/// The user that this process runs as: what the other end of a pair of ours is told.
fn own_user() -> io::Result<u32> {
    let (_this, other) = UnixStream::pair()?;
    Ok(other.peer_cred()?.uid())
}

/// Returns when the command is gone. One that sends more before it has its answer is none of ours.
async fn hung_up(reading: &mut BufReader<OwnedReadHalf>) {
    let _ = reading.fill_buf().await;
}

async fn converse(stream: UnixStream, administration: &Administration) -> io::Result<()> {
    let (reading, mut writing) = stream.into_split();
    let mut reading = BufReader::new(reading);
    loop {
        let Some(line) = timeout(PATIENCE, read_line(&mut reading, MAX_REQUEST_BYTES)).await?? else { return Ok(()) };
        // Held until the answer is written.
        let open = administration.requests.begin();
        let reply = match serde_json::from_slice::<Operation>(&line) {
            Ok(_) if open.is_none() => Reply::Error {
                code: "stopping".to_owned(),
                message: "the server is stopping: run the command again".to_owned(),
            },
            Ok(operation) => {
                // Nothing is to become of an operation whose command was stopped, or gave up, before it began.
                let turn = tokio::select! {
                    biased;
                    () = hung_up(&mut reading) => return Ok(()),
                    turn = administration.turn(&operation) => turn,
                };
                // A copy may take long, and nothing is to become of one whose command was stopped. Any other operation is carried out to its end.
                let stoppable = matches!(operation, Operation::BackUp { .. });
                let done = async { administration.execute_in(turn?, operation).await };
                let done = tokio::select! {
                    done = done => done,
                    () = hung_up(&mut reading), if stoppable => return Ok(()),
                };
                match done {
                    Ok(answer) => Reply::Ok(answer),
                    Err(error) => Reply::Error { code: error.code().to_owned(), message: error.to_string() },
                }
            }
            // serde's message may repeat a value, which may be a password.
            Err(_) => Reply::Error {
                code: "invalid_operation".to_owned(),
                message: "the running server does not know this operation: is it another version?".to_owned(),
            },
        };
        timeout(PATIENCE, write_line(&mut writing, &reply, MAX_ANSWER_BYTES)).await??;
        drop(open);
    }
}
