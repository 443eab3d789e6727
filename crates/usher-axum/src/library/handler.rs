//! A handler as an application: each connection gets a task, and an inbox between the two.

use std::sync::Arc;
use std::task::{Context, Poll};

use http::request::Parts;
use tokio::sync::watch;
use usher_auth::close_code::ApplicationClose;
use usher_auth::connection::PermitChange;
use usher_auth::protocol::ApplicationAnswer;
use usher_auth::{Now, Permit, Refusal};

use super::inbox::{Inbox, Reader};
use super::outcome;
use crate::{Application, AuthenticatedWebSocket, ConnectionHandle, Flow, HandlerOutcome, Message, Presenter};

/// The application behind [`Usher::websocket`](super::Usher::websocket).
pub struct HandlerApplication<H>(Arc<H>);

impl<H> HandlerApplication<H> {
    pub(super) fn new(handler: H) -> Self {
        Self(Arc::new(handler))
    }
}

/// A connection that is open, as its task sees it.
pub struct OpenSocket {
    inbox: Arc<Inbox>,
    permits: watch::Sender<Permit>,
    connection: Arc<ConnectionHandle>,
}

impl Drop for OpenSocket {
    fn drop(&mut self) {
        // What a client sent before it left is taken; what one sent that may send nothing any more is not.
        self.inbox.end(!self.connection.was_revoked());
    }
}

/// Closes the connection when the handler is done, or has panicked.
struct Closer {
    connection: Arc<ConnectionHandle>,
    close: ApplicationClose,
}

impl Closer {
    /// The handler is done: closes the connection with this.
    fn with(mut self, close: ApplicationClose) {
        self.close = close;
    }
}

impl Drop for Closer {
    fn drop(&mut self) {
        self.connection.close(self.close.clone());
    }
}

impl<H, F, O> Application for HandlerApplication<H>
where
    H: Fn(AuthenticatedWebSocket) -> F + Send + Sync + 'static,
    F: Future<Output = O> + Send + 'static,
    O: HandlerOutcome,
{
    type Request = ();
    type Admitted = ();
    type Session = OpenSocket;

    fn request(&self, _: &Parts) {}

    async fn admit(self: Arc<Self>, (): (), _: Permit, _: Arc<Presenter>) -> Result<(), Refusal> {
        Ok(())
    }

    fn open(&self, (): (), permit: &Permit, connection: &Arc<ConnectionHandle>, _: Now) -> OpenSocket {
        let inbox = Arc::new(Inbox::default());
        let (permits, permit) = watch::channel(permit.clone());
        let socket = AuthenticatedWebSocket::new(Reader(inbox.clone()), connection.clone(), permit);
        let closer = Closer { connection: connection.clone(), close: outcome::close(true) };
        let (handler, id) = (self.0.clone(), connection.id());
        tokio::spawn(async move {
            match handler(socket).await.error() {
                // One that could not send because the connection has ended has not failed.
                Some(error) if !closer.connection.has_ended() => {
                    tracing::warn!(connection = %id, error, "the handler of a connection failed");
                    drop(closer);
                }
                _ => closer.with(outcome::close(false)),
            }
        });
        OpenSocket { inbox, permits, connection: connection.clone() }
    }

    fn poll_ready(&self, socket: &mut OpenSocket, context: &mut Context<'_>) -> Poll<()> {
        socket.inbox.poll_room(context)
    }

    fn message(&self, socket: &mut OpenSocket, message: Message, _: Now) -> Flow {
        socket.inbox.put(message);
        Flow::Continue
    }

    fn permit_changed(&self, socket: &mut OpenSocket, permit: &Permit, _: PermitChange, _: Now) -> ApplicationAnswer {
        socket.permits.send_replace(permit.clone());
        ApplicationAnswer::default()
    }
}
