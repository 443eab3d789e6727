//! The command line's side.

use std::io;
use std::time::Duration;

use tokio::io::BufReader;
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};

use super::super::{Answer, Operation, StoreLock};
use super::address::Address;
use super::wire::{MAX_ANSWER_BYTES, MAX_REQUEST_BYTES, Reply, read_line, write_line};
use super::{ControlError, LOCK_PATIENCE, LOCK_POLL};
use crate::config::StoreSettings;

/// Longest wait for an answer. Every wait of the server is bounded, those of the commands before this one included; so one that takes longer does not
/// run, and whether it will carry the operation out cannot be told.
const PATIENCE: Duration = Duration::from_mins(10);

/// How operations are carried out now.
#[derive(Debug)]
pub enum Way {
    /// A server runs and does it.
    Server(ControlClient),
    /// None does: the store may be opened for as long as the lock is held.
    Store(StoreLock),
}

/// A connection to the running server.
#[derive(Debug)]
pub struct ControlClient {
    stream: BufReader<UnixStream>,
}

/// Finds out whether a server runs. One that is starting or stopping is waited for.
pub async fn find_way(store: &StoreSettings) -> Result<Way, ControlError> {
    let lock_file = store.lock_file();
    let look = async {
        loop {
            if let Some(client) = ControlClient::connect(store).await? {
                return Ok(Way::Server(client));
            }
            match StoreLock::try_take(&lock_file) {
                Ok(Some(lock)) => return Ok(Way::Store(lock)),
                Ok(None) => sleep(LOCK_POLL).await,
                Err(source) => return Err(ControlError::Path { path: lock_file.clone(), source }),
            }
        }
    };
    timeout(LOCK_PATIENCE, look).await.unwrap_or(Err(ControlError::InUse { path: lock_file.clone() }))
}

impl ControlClient {
    /// Connects, if somebody listens. A socket that was left behind is as good as none.
    async fn connect(store: &StoreSettings) -> Result<Option<Self>, ControlError> {
        let path = store.control_socket();
        let connected = match Address::of(&path) {
            Ok(address) => UnixStream::connect(address.path()).await,
            Err(error) => Err(error),
        };
        match connected {
            Ok(stream) => Ok(Some(Self { stream: BufReader::new(stream) })),
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Ok(None),
                io::ErrorKind::PermissionDenied => Err(ControlError::OtherUser { path }),
                _ => Err(ControlError::Path { path, source: error }),
            },
        }
    }

    /// Has the server carry out an operation.
    pub async fn execute(&mut self, operation: &Operation) -> Result<Answer, ControlError> {
        let exchange = async {
            write_line(self.stream.get_mut(), operation, MAX_REQUEST_BYTES).await?;
            let line = read_line(&mut self.stream, MAX_ANSWER_BYTES).await?;
            let line = line.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
            serde_json::from_slice::<Reply>(&line)
                .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "its answer is none that we know"))
        };
        let reply = match operation {
            // As long as the disk takes. A server that ends closes the socket.
            Operation::BackUp { .. } => exchange.await,
            _ => timeout(PATIENCE, exchange).await.map_err(io::Error::from)?,
        };
        match reply? {
            Reply::Ok(answer) => Ok(answer),
            Reply::Error { code, message } => Err(ControlError::Refused { code, message }),
        }
    }
}
