//! The socket that a handler is given.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::watch;
use usher_auth::Permit;
use usher_auth::close_code::{ApplicationClose, ForbiddenCode};
use usher_auth::ids::ConnectionId;

use super::inbox::Reader;
use crate::{ConnectionHandle, Message, SendError};

/// A WebSocket whose user is authenticated, and stays so until it ends.
///
/// When the credential expires, is revoked, or the connection ends for another reason, [`Self::recv`] returns `None` and [`Self::send`] fails. When the handler
/// returns, the connection is closed: see [`HandlerOutcome`](super::HandlerOutcome).
pub struct AuthenticatedWebSocket {
    inbox: Reader,
    sender: SocketSender,
    renewals: watch::Receiver<Permit>,
}

/// Sends to a client, and closes its connection. A clone is cheap, and may be kept by others than the handler.
#[derive(Clone)]
pub struct SocketSender {
    connection: Arc<ConnectionHandle>,
    permits: watch::Receiver<Permit>,
    /// Held by the one that waits for room: a connection wakes one.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// The connection has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection has ended")]
pub struct SocketClosed;

impl AuthenticatedWebSocket {
    pub(super) fn new(inbox: Reader, connection: Arc<ConnectionHandle>, permits: watch::Receiver<Permit>) -> Self {
        let renewals = permits.clone();
        let turn = Arc::default();
        Self { inbox, sender: SocketSender { connection, permits, turn }, renewals }
    }

    /// The next message of the client; `None` once the connection has ended. While the handler does not ask, little is read ahead, and then the client is
    /// paused. Can be dropped while it waits.
    pub async fn recv(&mut self) -> Option<Message> {
        poll_fn(|context| {
            if self.sender.connection.was_revoked() {
                return Poll::Ready(None);
            }
            self.inbox.0.poll_take(context)
        })
        .await
    }

    /// Sends a message, text or binary. Waits while the client reads more slowly than messages are sent.
    ///
    /// # Errors
    /// If the connection has ended: nothing is sent then.
    pub async fn send(&self, message: impl Into<Message>) -> Result<(), SocketClosed> {
        self.sender.send(message).await
    }

    /// Who the user is, and until when: as it is now.
    pub fn permit(&self) -> Permit {
        self.sender.permit()
    }

    /// Waits until the permit is another one: the credential was renewed, or the user's rights changed. `None` once the connection has ended.
    pub async fn renewed(&mut self) -> Option<Permit> {
        self.renewals.changed().await.ok()?;
        Some(self.renewals.borrow_and_update().clone())
    }

    /// Closes the connection with a close code and a reason, of which 123 bytes are sent. What was sent before still goes out.
    ///
    /// # Errors
    /// If the code must not be sent (RFC 6455 §7.4; an application's own are 3000 to 4999). The connection goes on then.
    pub fn close(&self, code: u16, reason: impl Into<String>) -> Result<(), ForbiddenCode> {
        self.sender.close(code, reason)
    }

    /// A sender for others than the handler.
    pub fn sender(&self) -> SocketSender {
        self.sender.clone()
    }

    /// Names the connection in logs.
    pub fn id(&self) -> ConnectionId {
        self.sender.connection.id()
    }
}

impl SocketSender {
    /// As [`AuthenticatedWebSocket::send`]. Of several that wait for the same client, each gets on.
    ///
    /// # Errors
    /// If the connection has ended.
    pub async fn send(&self, message: impl Into<Message>) -> Result<(), SocketClosed> {
        let frame = message.into().to_frame();
        let mut turn = None;
        loop {
            match self.connection.send(&frame) {
                Ok(()) => return Ok(()),
                Err(SendError::Closed) => return Err(SocketClosed),
                Err(SendError::Full) if turn.is_none() => turn = Some(self.turn.lock().await),
                Err(SendError::Full) => self.connection.writable().await.map_err(|_| SocketClosed)?,
            }
        }
    }

    /// As [`AuthenticatedWebSocket::permit`].
    pub fn permit(&self) -> Permit {
        self.permits.borrow().clone()
    }

    /// As [`AuthenticatedWebSocket::close`].
    ///
    /// # Errors
    /// If the code must not be sent.
    pub fn close(&self, code: u16, reason: impl Into<String>) -> Result<(), ForbiddenCode> {
        self.connection.close(ApplicationClose::new(code, reason.into())?);
        Ok(())
    }
}

impl fmt::Debug for AuthenticatedWebSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthenticatedWebSocket").field("id", &self.id()).finish_non_exhaustive()
    }
}

impl fmt::Debug for SocketSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketSender").field("id", &self.connection.id()).finish_non_exhaustive()
    }
}
