//! From HTTP to the socket without a detour: what a server and an upgrade of ours hand each other.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::SourcePlace;
use crate::sync::Mutex;

/// A connection from its upgrade to its end.
pub struct Conversation(Pin<Box<dyn Future<Output = Option<Talk>> + Send>>);

/// What is left of it once there is a socket, which is all that a connection keeps room for.
pub(crate) type Talk = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Conversation {
    /// `beginning` waits for the socket; without one there is nothing to go on with.
    pub(crate) fn new(beginning: impl Future<Output = Option<Talk>> + Send + 'static) -> Self {
        Self(Box::pin(beginning))
    }

    /// Runs it.
    pub async fn run(self) {
        let talk = self.0.await;
        if let Some(talk) = talk {
            talk.await;
        }
    }
}

/// For servers of their own making, one for each HTTP connection: put into the extensions of its requests, it has an accepted upgrade
/// leave the [`Conversation`] here, for the server to run in the task it has already once HTTP is done. Without one the upgrade
/// spawns a task, as is usual.
///
/// If the connection is a [`HandOverStream`], too, the 101 and the first frame leave in one write.
#[derive(Clone, Default)]
pub struct HandOver {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    conversation: Option<Conversation>,
    /// The head of the 101, which the conversation writes.
    unwritten: Vec<u8>,
}

impl fmt::Debug for HandOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HandOver(…)")
    }
}

/// Does not keep what was handed over.
#[derive(Default)]
pub(crate) struct WeakHandOver(Weak<Mutex<Shared>>);

impl WeakHandOver {
    /// What the connection, which must still be there, has not written yet, and must before anything else.
    pub(crate) fn take_unwritten(&self) -> Vec<u8> {
        self.0.upgrade().map(|shared| std::mem::take(&mut shared.lock().unwritten)).unwrap_or_default()
    }
}

impl HandOver {
    /// What goes on after the HTTP connection, if there was an upgrade. It takes over the connection once the server has given it up,
    /// so the server must have awaited [`hyper::server::conn::http1::UpgradeableConnection`] to its end.
    pub fn take(&self) -> Option<Conversation> {
        self.shared.lock().conversation.take()
    }

    pub(crate) fn leave(&self, conversation: Conversation) {
        self.shared.lock().conversation = Some(conversation);
    }

    /// For the conversation itself, which lies in here until it is taken: nobody may come to take it any more, and then it must go.
    pub(crate) fn downgrade(&self) -> WeakHandOver {
        WeakHandOver(Arc::downgrade(&self.shared))
    }

    /// Keeps `pieces` if a conversation waits to begin: all that is written then is the answer to its upgrade.
    fn withhold(&self, pieces: &[IoSlice<'_>]) -> Option<usize> {
        let mut shared = self.shared.lock();
        shared.conversation.as_ref()?;
        for piece in pieces {
            shared.unwritten.extend_from_slice(piece);
        }
        Some(pieces.iter().map(|piece| piece.len()).sum())
    }
}

/// A connection whose 101 is written by the conversation that follows on it.
#[derive(Debug)]
pub struct HandOverStream<IO> {
    io: IO,
    hand_over: HandOver,
    /// Given back when this is dropped.
    _place: Option<Arc<SourcePlace>>,
}

impl<IO> HandOverStream<IO> {
    /// Over `io`, whose requests carry the same `hand_over`.
    pub fn new(io: IO, hand_over: HandOver) -> Self {
        Self { io, hand_over, _place: None }
    }

    /// Holds `place` for as long as the connection is in here, also under an upgrade that is no [`Conversation`]. One that is takes the
    /// connection out; whoever runs it holds the place then.
    #[must_use]
    pub fn holding(self, place: Arc<SourcePlace>) -> Self {
        Self { _place: Some(place), ..self }
    }

    pub(crate) fn into_inner(self) -> IO {
        self.io
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for HandOverStream<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for HandOverStream<IO> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.hand_over.withhold(&[IoSlice::new(bytes)]) {
            Some(kept) => Poll::Ready(Ok(kept)),
            None => Pin::new(&mut self.io).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.hand_over.withhold(pieces) {
            Some(kept) => Poll::Ready(Ok(kept)),
            None => Pin::new(&mut self.io).poll_write_vectored(context, pieces),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
